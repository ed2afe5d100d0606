// Words and ranges for the parameters. Parameters that the server adds appear under "Expert" without an entry here.

export const FIELDS = {
  iterations: { label: "Depth", range: [1, 60, 1], hint: "More steps: a deeper dream, and more time." },
  step_size: { label: "Intensity", range: [0.5, 10, 0.5], hint: "Gentle keeps the photograph, strong lets the dream take over." },
  strength: { label: "Strength", range: [0.05, 1, 0.05], hint: "1 is the full dream. Less lets the photograph shine through." },
  color: { label: "Colors", labels: { keep: "Near", free: "Free", original: "Original" }, hint: "Near the photograph’s; free, pastel and psychedelic; or exactly the original ones." },
  octaves: { label: "Octaves", range: [1, 10, 1], hint: "How many sizes of the picture are dreamed on, small to large. More give larger shapes." },
  octave_scale: { label: "Octave scale", range: [0.3, 0.95, 0.01], hint: "How large each size is, compared with the next larger one." },
  blend: { label: "Photograph mixed back in", range: [0, 1, 0.05], hint: "At each size. More keeps the photograph recognizable." },
  detail: { label: "From size to size", labels: { blend: "Mix", carry: "Add" }, hint: "Mix the dream so far with the photograph, or add it on top, as in 2015." },
  smooth: { label: "Soft and painterly", hint: "Off: sharp, fine and full of color, as in 2015." },
  normalize: { label: "Where it dreams", labels: { std: "Everywhere", mean: "Strong parts first" }, hint: "Every part of the picture alike, or first where the network sees most, as in 2015." },
  brightness_lock: { label: "Keep light and shade", hint: "Bright and dark areas stay where the photograph has them." },
  seed: { label: "Seed", hint: "Another number makes another dream with the same settings." },
  format: { label: "File format", labels: { png: "PNG", jpeg: "JPEG", webp: "WebP", png16: "PNG, 16-bit" }, hint: "PNG with 16 bits is for print." },
  long_side: { label: "Longer side in pixels", hint: "An exact size, instead of the choice above." },
  jitter: { label: "Shift between steps, in pixels", hint: "Hides the borders of the pieces that are computed. Empty: what suits the layer." },
  tile_size: { label: "Size of the pieces, in pixels", hint: "What is computed at once. Empty: what suits the worker." },
  keep_gradients: { label: "Save what pulled at the picture", hint: "A picture of the gradient at each size." },
};
export const MAIN = ["iterations", "step_size"];
/** Expert settings, by group; the last one also has all others. */
export const GROUPS = [
  ["Mood", ["strength", "color", "smooth", "brightness_lock"]],
  ["Shapes", ["octaves", "octave_scale", "blend", "detail", "normalize"]],
  ["File and details", ["format", "long_side", "seed", "jitter", "tile_size", "keep_gradients"]],
];

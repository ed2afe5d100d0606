// How a dream differs from the look that it started from, in words.

/** What a change of a parameter does to the picture: [more, less], or a function of the new value. */
const EFFECTS = {
  iterations: ["deeper", "shallower"],
  step_size: ["stronger", "gentler"],
  octaves: ["larger shapes", "smaller shapes"],
  strength: ["fuller", "paler"],
  blend: ["closer to the photograph", "further from the photograph"],
  color: (now) => ({ keep: "colors kept", free: "free colors", original: "original colors" })[now],
  smooth: (now) => (now ? "softer" : "sharper"),
  model: () => "another network",
  layers: () => "other layers",
};
/** Parameters that do not make another look. */
const NEUTRAL = new Set(["seed", "format", "scale", "long_side", "tile_size", "jitter", "keep_gradients"]);

/**
 * Says how parameters differ from the look's: ", deeper, free colors". Empty if they do not.
 * @param {string[]} changed names of parameters
 */
export function difference(changed, params, look, defaults) {
  const order = Object.keys(EFFECTS);
  const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  const words = changed.filter((name) => !NEUTRAL.has(name)).sort((a, b) => rank(a) - rank(b)).map((name) => {
    const effect = EFFECTS[name];
    if (!effect) return null;
    return typeof effect === "function" ? effect(params[name]) : effect[params[name] > (look.params[name] ?? defaults[name]) ? 0 : 1];
  });
  if (!words.length) return "";
  const said = words.filter(Boolean);
  return `, ${said.length && words.length <= 2 ? said.join(", ") : [...said.slice(0, 1), "changed"].join(", ")}`;
}

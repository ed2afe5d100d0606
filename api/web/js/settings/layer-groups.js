// Groups a network's layers by stride: the larger the stride, the larger the shapes that a layer amplifies.

const GROUPS = [
  [4, "Fine texture"],
  [8, "Pattern"],
  [16, "Parts and creatures"],
  [Infinity, "Whole objects"],
];

/**
 * @param {{name: string, channels: number, stride: number}[]} layers
 * @returns {{title: string, layers: any[]}[]} none empty
 */
export function layerGroups(layers) {
  return GROUPS.map(([limit, title], index) => {
    const from = index ? GROUPS[index - 1][0] : 0;
    return { title, layers: layers.filter((layer) => layer.stride > from && layer.stride <= limit) };
  }).filter((group) => group.layers.length);
}

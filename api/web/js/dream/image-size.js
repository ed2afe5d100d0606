// Reads the size of pictures that this browser can't show: TIFF and HEIC. The server checks every file itself.

const HEAD_BYTES = 1 << 20; // of a HEIC, whose descriptions come first
const MAX_TAGS = 200;
const [WIDTH, HEIGHT, ORIENTATION] = [256, 257, 274]; // TIFF's tags

/**
 * Returns the size as displayed, null where the file does not say it in a way that is understood here.
 * @param {File} file
 * @returns {Promise<{width: number, height: number} | null>}
 */
export async function imageSize(file) {
  try {
    const start = new Uint8Array(await file.slice(0, 16).arrayBuffer());
    const text = String.fromCharCode(...start);
    if (/^(II[*+]\0|MM\0[*+])/.test(text)) return await tiffSize(file);
    return text.slice(4, 8) === "ftyp" ? await heicSize(file) : null;
  } catch {
    return null; // cut off or damaged: the server will say so
  }
}

async function view(file, at, size) {
  return new DataView(await file.slice(at, at + size).arrayBuffer());
}

async function tiffSize(file) {
  const head = await view(file, 0, 16);
  const little = head.getUint16(0) === 0x4949;
  const big = head.getUint16(2, little) === 43;
  const at = big ? Number(head.getBigUint64(8, little)) : head.getUint32(4, little);
  const [countBytes, entryBytes] = big ? [8, 20] : [2, 12];
  const counted = await view(file, at, countBytes);
  const count = Math.min(MAX_TAGS, big ? Number(counted.getBigUint64(0, little)) : counted.getUint16(0, little));
  const entries = await view(file, at + countBytes, count * entryBytes);
  const found = {};
  for (let entry = 0; entry < count * entryBytes; entry += entryBytes) {
    const [tag, type] = [entries.getUint16(entry, little), entries.getUint16(entry + 2, little)];
    const value = entry + (big ? 12 : 8);
    found[tag] = type === 3 ? entries.getUint16(value, little) : entries.getUint32(value, little);
  }
  return displayed(found[WIDTH], found[HEIGHT], found[ORIENTATION] >= 5);
}

/** The largest picture of the file is the photograph; the others are its tiles and thumbnails. */
async function heicSize(file) {
  const head = await view(file, 0, HEAD_BYTES);
  let largest = [0, 0];
  let turned = false;
  for (let at = 4; at + 16 <= head.byteLength; at++) {
    const name = head.getUint32(at);
    if (name === 0x69737065 && head.getUint32(at - 4) === 20) { // ispe
      const size = [head.getUint32(at + 8), head.getUint32(at + 12)];
      if (size[0] * size[1] > largest[0] * largest[1]) largest = size;
    }
    if (name === 0x69726f74 && head.getUint32(at - 4) === 9) turned ||= head.getUint8(at + 4) % 2 === 1; // irot, by 90 degrees
  }
  return displayed(...largest, turned);
}

function displayed(width, height, turned) {
  if (!(width > 0 && height > 0)) return null;
  return turned ? { width: height, height: width } : { width, height };
}

// Reads an exported identity: a zip archive whose members are stored, not compressed.

const END_OF_DIRECTORY = 0x06054b50
const END_BYTES = 22
const FORMAT = 'likeness-device-1'

/** What keeps a file from being used; the message is for the person at the page. */
export class BundleError extends Error {}

/**
 * Return the identity in an exported file.
 * @param {ArrayBuffer} data the file
 * @param {Date} now refuses a file that has expired
 */
export async function readBundle(data, now = new Date()) {
  const members = unzip(data)
  const manifest = parseManifest(members.get('manifest.json'))

  if (now >= new Date(manifest.expires_at)) {
    throw new BundleError(`This identity expired on ${manifest.expires_at.slice(0, 10)}. Export it again.`)
  }
  if (manifest.form !== 'onnx') {
    throw new BundleError(`This file is for other players (${manifest.form}). Export the form onnx for this page.`)
  }
  for (const [name, { sha256 }] of Object.entries(manifest.members)) {
    if ((await digest(members.get(name))) !== sha256) throw new BundleError(`The file is damaged: ${name}.`)
  }

  const geometry = members.get('geometry.bin')
  return {
    manifest,
    network: members.get(manifest.network),
    texture: await pixels(members.get('texture.png')),
    mask: await pixels(members.get('mask.png')),
    ...Object.fromEntries(manifest.geometry.map((part) => [part.name, array(geometry, part)])),
  }
}

function parseManifest(member) {
  try {
    const manifest = JSON.parse(new TextDecoder().decode(member))
    if (manifest.format !== FORMAT) throw new Error(manifest.format)
    return manifest
  } catch {
    throw new BundleError('This is not an identity exported by Likeness.')
  }
}

function array(bytes, { type, shape, offset }) {
  const kinds = { float32: Float32Array, uint16: Uint16Array }
  const count = shape.reduce((product, side) => product * side, 1)
  const kind = kinds[type]
  const start = bytes.byteOffset + offset

  return new kind(bytes.buffer.slice(start, start + count * kind.BYTES_PER_ELEMENT))
}

/** Return the members of an archive by name, as views of its bytes. */
function unzip(data) {
  const view = new DataView(data)
  let end = data.byteLength - END_BYTES
  while (end >= 0 && view.getUint32(end, true) !== END_OF_DIRECTORY) end--
  if (end < 0) throw new BundleError('This is not an identity exported by Likeness.')

  const members = new Map()
  let entry = view.getUint32(end + 16, true)

  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    const bytes = view.getUint32(entry + 24, true)
    const nameBytes = view.getUint16(entry + 28, true)
    const extraBytes = view.getUint16(entry + 30, true) + view.getUint16(entry + 32, true)
    const local = view.getUint32(entry + 42, true)
    const name = new TextDecoder().decode(new Uint8Array(data, entry + 46, nameBytes))
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)

    members.set(name, new Uint8Array(data, start, bytes))
    entry += 46 + nameBytes + extraBytes
  }

  return members
}

async function digest(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Return an image's RGBA pixels. Colours stay as they are stored. */
async function pixels(png) {
  const options = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' }
  const image = await createImageBitmap(new Blob([png]), options)
  const canvas = new OffscreenCanvas(image.width, image.height)
  const context = canvas.getContext('2d')
  context.drawImage(image, 0, 0)

  return context.getImageData(0, 0, image.width, image.height)
}

// One frame after another: find the face, place the texture, run the identity's network, paste. While
// the network is at one frame, the next one's face is found and its texture placed.

import { invert, move } from './affine.js'
import { FaceFinder, swapCrop } from './finder.js'
import { planes } from './networks.js'
import { Placer } from './placing.js'

const SIZE = 224
const MEMORY = 0.1 // of a new time in the average that is shown

/** Swaps one identity into frames. */
export class Player {
  /**
   * @param {object} identity what `readBundle` returns
   * @param {{detector, mesh, swapper}} networks
   */
  constructor(identity, { detector, mesh, swapper }) {
    this.finder = new FaceFinder(detector, mesh)
    this.placer = new Placer(identity)
    this.swapper = swapper
    this.crop = new OffscreenCanvas(SIZE, SIZE)
    this.cropContext = this.crop.getContext('2d', { willReadFrequently: true })
    this.times = { find: 0, place: 0, swap: 0, paste: 0 }
    this.frames = 0
    this.before = null
  }

  /**
   * Take the next frame, a canvas that is the player's until it comes back. Return the frame before
   * it, swapped in place where there was a face; null at first.
   */
  async take(frame) {
    const next = await this.placed(frame)
    const before = this.before
    const face = await before?.face
    this.before = next
    // Before the paste, so that the network is never without work.
    if (next.placed) next.face = this.swapped(next.placed)
    if (before?.placed) this.paste(before.frame, before.placed, face)
    return before?.frame ?? null
  }

  /** Find a frame's face and place the texture on it. */
  async placed(frame) {
    const mark = stopwatch()
    const mesh = await this.finder.find(frame)
    this.note('find', mark())
    if (mesh === null) return { frame }

    const toCrop = swapCrop(mesh)
    const [a, b, c, d, e, f] = toCrop
    this.cropContext.setTransform(1, 0, 0, 1, 0, 0)
    this.cropContext.fillRect(0, 0, SIZE, SIZE)
    this.cropContext.setTransform(a, d, b, e, c, f)
    this.cropContext.drawImage(frame, 0, 0)
    const target = this.cropContext.getImageData(0, 0, SIZE, SIZE)
    const { texture, shown } = this.placer.place(target.data, move(mesh, toCrop))
    this.note('place', mark())
    return { frame, placed: { target, texture, shown, toFrame: invert(toCrop) } }
  }

  async swapped({ target, texture }) {
    const mark = stopwatch()
    const { face } = await this.swapper.run({ target: planes(target.data), texture: apart(texture) })
    this.note('swap', mark())
    return face
  }

  paste(frame, { target, shown, toFrame }, face) {
    const mark = stopwatch()
    const { data } = target
    for (let i = 0; i < shown.length; i++) {
      for (let c = 0; c < 3; c++) data[4 * i + c] = face[c * shown.length + i] * 255 + 0.5
      data[4 * i + 3] = shown[i] * 255 + 0.5
    }
    this.cropContext.putImageData(target, 0, 0)

    const context = frame.getContext('2d')
    const [a, b, c, d, e, f] = toFrame
    context.save()
    context.imageSmoothingQuality = 'high'
    context.setTransform(a, d, b, e, c, f)
    context.drawImage(this.crop, 0, 0)
    context.restore()
    this.note('paste', mark())
    this.frames++
  }

  /** End the network's worker, if it has one. */
  close() {
    this.swapper.close?.()
  }

  note(stage, ms) {
    const share = this.frames < 1 / MEMORY ? 1 / (this.frames + 1) : MEMORY
    this.times[stage] += (ms - this.times[stage]) * share
  }
}

/** Return pixels [r, g, b, r, ...] in 0..255 as planes in 0..1. */
function apart(pixels) {
  const count = pixels.length / 3
  const values = new Float32Array(pixels.length)
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) values[c * count + i] = pixels[3 * i + c] / 255
  }
  return values
}

function stopwatch() {
  let last = performance.now()
  return () => {
    const now = performance.now()
    const passed = now - last
    last = now
    return passed
  }
}

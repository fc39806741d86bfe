// Finds one face and follows it: BlazeFace for a first look, the face mesh from frame to frame.

import { invert, move, similarity } from './affine.js'
import { planes } from './networks.js'

const DETECTOR_PX = 128
const MESH_PX = 192
const MARGIN = 1.5 // of the face's longer side: what the mesh network was trained with
const MIN_SCORE = 0.5
const OUTER_EYE_CORNERS = [33, 263]
// Cells per side and anchors per cell of the detector's output, in order.
const GRIDS = [
  [16, 2],
  [8, 6],
]
const POINTS = 468

/** Follows one face through frames. */
export class FaceFinder {
  constructor(detector, mesh) {
    this.detector = detector
    this.mesh = mesh
    this.region = null
    this.anchors = anchors()
    this.canvas = new OffscreenCanvas(MESH_PX, MESH_PX)
    this.context = this.canvas.getContext('2d', { willReadFrequently: true })
  }

  /** Return the mesh [x0, y0, ...] of the face in a frame (a canvas), or null. */
  async find(frame) {
    if (this.region === null) this.region = await this.detect(frame)
    if (this.region === null) return null

    const toCrop = cropOf(this.region)
    const { points, presence } = await this.look(frame, toCrop)
    if (1 / (1 + Math.exp(-presence)) < MIN_SCORE) {
      this.region = null
      return null
    }

    const mesh = move(points, invert(toCrop))
    this.region = regionOf(mesh)
    return mesh
  }

  async look(frame, toCrop) {
    const { landmarks, presence } = await this.mesh.run({ image: this.crop(frame, toCrop, MESH_PX) })
    const points = new Float32Array(POINTS * 2)

    for (let i = 0; i < POINTS; i++) {
      points[2 * i] = landmarks[3 * i]
      points[2 * i + 1] = landmarks[3 * i + 1]
    }
    return { points, presence: presence[0] }
  }

  /** Return the region of the frame's most certain face, or null. */
  async detect(frame) {
    const side = Math.max(frame.width, frame.height)
    const scale = DETECTOR_PX / side
    const toCrop = [scale, 0, ((side - frame.width) / 2) * scale, 0, scale, ((side - frame.height) / 2) * scale]
    const { scores, boxes } = await this.detector.run({ image: this.crop(frame, toCrop, DETECTOR_PX) })
    const best = scores.reduce((found, score, i) => (score > scores[found] ? i : found), 0)
    if (1 / (1 + Math.exp(-scores[best])) < MIN_SCORE) return null

    const at = (k) => boxes[best * 16 + k]
    const cx = this.anchors[2 * best] * DETECTOR_PX
    const cy = this.anchors[2 * best + 1] * DETECTOR_PX
    const crop = new Float32Array([at(0) + cx, at(1) + cy, at(4) + cx, at(5) + cy, at(6) + cx, at(7) + cy])
    const [x, y, leftX, leftY, rightX, rightY] = move(crop, invert(toCrop))
    const angle = Math.atan2(rightY - leftY, rightX - leftX)

    return { x, y, side: (Math.max(at(2), at(3)) / scale) * MARGIN, angle }
  }

  /** Return a crop as a network takes it. */
  crop(frame, toCrop, size) {
    const [a, b, c, d, e, f] = toCrop
    this.context.setTransform(1, 0, 0, 1, 0, 0)
    this.context.fillRect(0, 0, size, size)
    this.context.setTransform(a, d, b, e, c, f)
    this.context.drawImage(frame, 0, 0)
    return planes(this.context.getImageData(0, 0, size, size).data)
  }
}

function regionOf(mesh) {
  const [left, right] = OUTER_EYE_CORNERS
  const angle = Math.atan2(mesh[2 * right + 1] - mesh[2 * left + 1], mesh[2 * right] - mesh[2 * left])
  const turn = [Math.cos(angle), Math.sin(angle), 0, -Math.sin(angle), Math.cos(angle), 0]
  const upright = move(mesh, turn)
  let [minX, maxX, minY, maxY] = [Infinity, -Infinity, Infinity, -Infinity]

  for (let i = 0; i < upright.length; i += 2) {
    minX = Math.min(minX, upright[i])
    maxX = Math.max(maxX, upright[i])
    minY = Math.min(minY, upright[i + 1])
    maxY = Math.max(maxY, upright[i + 1])
  }

  const [x, y] = move(new Float32Array([(minX + maxX) / 2, (minY + maxY) / 2]), invert(turn))
  return { x, y, side: Math.max(maxX - minX, maxY - minY) * MARGIN, angle }
}

function cropOf({ x, y, side, angle }) {
  const scale = MESH_PX / side
  const [c, s] = [Math.cos(angle) * scale, Math.sin(angle) * scale]
  return [c, s, MESH_PX / 2 - c * x - s * y, -s, c, MESH_PX / 2 + s * x - c * y]
}

function anchors() {
  const centres = []
  for (const [cells, perCell] of GRIDS) {
    for (let cell = 0; cell < cells * cells; cell++) {
      const [x, y] = [(cell % cells) + 0.5, Math.floor(cell / cells) + 0.5]
      for (let k = 0; k < perCell; k++) centres.push(x / cells, y / cells)
    }
  }
  return new Float32Array(centres)
}

// ArcFace's template at 224 px: eyes, nose, mouth corners (docs/method.md 6).
const TEMPLATE = [76.589, 103.393, 147.064, 103.003, 112.05, 143.473, 83.099, 184.731, 141.46, 184.408]
const FIVE = [
  [33, 133, 158, 159, 160],
  [263, 362, 385, 386, 387],
  [1, 1, 4],
  [61, 78],
  [291, 308],
]

/** Return the matrix from the frame to the 224 px crop in which faces are swapped. */
export function swapCrop(mesh) {
  const points = FIVE.flatMap((indices) =>
    [0, 1].map((axis) => indices.reduce((sum, i) => sum + mesh[2 * i + axis], 0) / indices.length)
  )
  return similarity(points, TEMPLATE)
}

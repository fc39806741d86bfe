// Draws an identity's texture on a target's face, as models/inference/texture does (docs/method.md 9).

const SIZE = 224
const COARSE = 84 // the map is drawn at three eighths and enlarged: texels change slowly
const BORDER_PX = 10 // the mask ends before the crop does: a face larger than it must not be cut
const GRID = 4 // colours are matched on every fourth pixel
const KERNEL_PX = 22 // of the smoothing of shapes, and its ridge
const RIDGE = 2
const EYES = [
  [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
  [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
]
const LIPS = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
const CELL = 16 // px: light changes slowly over a face, features do not
const CELLS = SIZE / CELL
const LIGHT_SHARE = 0.8 // of the target's light; all of it would bring its features along
const LIGHT_RANGE = [0.6, 1.7]
const QUANTILES = [0.25, 0.5, 0.75]
const GAIN_RANGE = [0.7, 1.4] // beyond, noise and highlights are blown up

/** Places one identity's texture on targets. */
export class Placer {
  constructor(identity) {
    this.identity = identity
    this.count = identity.shift_weights.length
    this.camera = cameraSolver(identity.mesh)
    this.smoothing = smoothing(identity.mesh)
    this.canvas = new OffscreenCanvas(SIZE, SIZE)
    this.context = this.canvas.getContext('2d', { willReadFrequently: true })
  }

  /**
   * Return the placed texture and where it shows.
   * @param {Uint8ClampedArray} target RGBA of the 224 px crop
   * @param {Float32Array} mesh the target's mesh in the crop
   */
  place(target, mesh) {
    const texels = this.texels(mesh)
    const where = rasterise(mesh, this.identity.triangles, texels)
    const openings = this.openings(mesh)
    const drawn = new Float32Array(SIZE * SIZE * 3)
    const shown = new Float32Array(SIZE * SIZE)

    this.sample(where, openings, drawn, shown)
    matchColour(drawn, target, shown)
    matchLight(drawn, target, shown)
    for (let i = 0; i < shown.length; i++) {
      const share = Math.min(1, shown[i] * 4)
      for (let c = 0; c < 3; c++) {
        drawn[3 * i + c] = target[4 * i + c] + (drawn[3 * i + c] - target[4 * i + c]) * share
      }
    }
    return { texture: drawn, shown }
  }

  /** Return the texel each point of the mesh shows: the identity's own shape, in the target's pose. */
  texels(mesh) {
    const { proportions, texels, shift_weights: weights } = this.identity
    const own = this.camera(mesh)
    const difference = new Float32Array(2 * this.count)
    for (let i = 0; i < difference.length; i++) {
      difference[i] = (proportions[i] - own[i]) * weights[i >> 1]
    }

    const scale = textureScale(this.identity)
    const moved = new Float32Array(texels)
    for (let row = 0; row < this.count; row++) {
      let [x, y] = [0, 0]
      const start = row * this.count
      for (let k = 0; k < this.count; k++) {
        x += this.smoothing[start + k] * difference[2 * k]
        y += this.smoothing[start + k] * difference[2 * k + 1]
      }
      moved[2 * row] -= x * scale
      moved[2 * row + 1] -= y * scale
    }
    return moved
  }

  /** Return 0..255 per pixel: the eyes and the open mouth, which stay the target's. */
  openings(mesh) {
    const { context } = this
    context.filter = 'none'
    context.clearRect(0, 0, SIZE, SIZE)
    context.filter = 'blur(1.2px)'
    for (const outline of [...EYES, LIPS]) {
      context.beginPath()
      for (const i of outline) context.lineTo(mesh[2 * i], mesh[2 * i + 1])
      context.closePath()
      context.fill()
    }
    return context.getImageData(0, 0, SIZE, SIZE).data
  }

  sample(where, openings, drawn, shown) {
    const texture = this.identity.texture.data
    const mask = this.identity.mask.data
    const ratio = (COARSE - 1) / (SIZE - 1)

    for (let y = 0; y < SIZE; y++) {
      const row = y * ratio
      for (let x = 0; x < SIZE; x++) {
        const i = y * SIZE + x
        if (!findTexel(where, x * ratio, row)) continue
        const u = texelAt[0]
        const v = texelAt[1]
        if (u < 0 || v < 0 || u > SIZE - 1 || v > SIZE - 1) continue

        // One place in two images: the four neighbours and their shares are worked out once.
        const left = Math.min(u | 0, SIZE - 2)
        const top = Math.min(v | 0, SIZE - 2)
        const fx = u - left
        const fy = v - top
        const at = 4 * (top * SIZE + left)
        const below = at + 4 * SIZE
        const a = (1 - fx) * (1 - fy)
        const b = fx * (1 - fy)
        const c = (1 - fx) * fy
        const d = fx * fy

        const level = a * mask[at] + b * mask[at + 4] + c * mask[below] + d * mask[below + 4]
        const edge = Math.min(x, y, SIZE - 1 - x, SIZE - 1 - y) / BORDER_PX
        shown[i] = (level / 255) * (1 - openings[4 * i + 3] / 255) * Math.min(1, edge)
        for (let k = 0; k < 3; k++) {
          drawn[3 * i + k] =
            a * texture[at + k] + b * texture[at + 4 + k] + c * texture[below + k] + d * texture[below + 4 + k]
        }
      }
    }
  }
}

const texelAt = new Float32Array(2)

/** Put the coarse map's value between its pixels into `texelAt`; return whether there is one. */
function findTexel(map, x, y) {
  const left = Math.min(x | 0, COARSE - 2)
  const top = Math.min(y | 0, COARSE - 2)
  const at = 2 * (top * COARSE + left)
  const below = at + 2 * COARSE
  if (map[at] < 0 || map[at + 2] < 0 || map[below] < 0 || map[below + 2] < 0) return false

  const fx = x - left
  const fy = y - top
  for (let axis = 0; axis < 2; axis++) {
    const upper = map[at + axis] + (map[at + 2 + axis] - map[at + axis]) * fx
    const lower = map[below + axis] + (map[below + 2 + axis] - map[below + axis]) * fx
    texelAt[axis] = upper + (lower - upper) * fy
  }
  return true
}

/** Return a COARSE x COARSE map of texels, -1 where no triangle is; the last triangle counts. */
function rasterise(mesh, triangles, texels) {
  const map = new Float32Array(2 * COARSE * COARSE).fill(-1)
  const ratio = (COARSE - 1) / (SIZE - 1)

  for (let t = 0; t < triangles.length; t += 3) {
    const [i, j, k] = [2 * triangles[t], 2 * triangles[t + 1], 2 * triangles[t + 2]]
    const [ax, ay, bx, by] = [mesh[i] * ratio, mesh[i + 1] * ratio, mesh[j] * ratio, mesh[j + 1] * ratio]
    const [cx, cy] = [mesh[k] * ratio, mesh[k + 1] * ratio]
    const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if (area <= 1e-4) continue // seen from behind

    const [left, right] = [Math.max(0, Math.ceil(Math.min(ax, bx, cx))), Math.min(COARSE - 1, Math.floor(Math.max(ax, bx, cx)))]
    const [top, bottom] = [Math.max(0, Math.ceil(Math.min(ay, by, cy))), Math.min(COARSE - 1, Math.floor(Math.max(ay, by, cy)))]
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const second = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
        const third = ((y - ay) * (bx - ax) - (x - ax) * (by - ay)) / area
        if (second < -1e-3 || third < -1e-3 || second + third > 1.001) continue

        const at = 2 * (y * COARSE + x)
        for (let axis = 0; axis < 2; axis++) {
          const first = texels[i + axis]
          map[at + axis] = first + (texels[j + axis] - first) * second + (texels[k + axis] - first) * third
        }
      }
    }
  }
  return map
}

/**
 * Give the drawn texture the target's median and spread of each colour: hair, brows and shadows inside
 * the face's outline move a mean, and are no part of the skin's colour.
 */
function matchColour(drawn, target, shown) {
  for (let c = 0; c < 3; c++) {
    const own = new Float32Array(256)
    const wanted = new Float32Array(256)
    for (let y = 0; y < SIZE; y += GRID) {
      for (let x = 0; x < SIZE; x += GRID) {
        const i = y * SIZE + x
        own[drawn[3 * i + c] | 0] += shown[i]
        wanted[target[4 * i + c]] += shown[i]
      }
    }

    const [fromLow, fromMiddle, fromHigh] = quantiles(own)
    const [toLow, toMiddle, toHigh] = quantiles(wanted)
    const ratio = (toHigh - toLow) / Math.max(fromHigh - fromLow, 1)
    const gain = Math.min(GAIN_RANGE[1], Math.max(GAIN_RANGE[0], ratio))
    for (let at = c; at < drawn.length; at += 3) {
      drawn[at] = Math.min(255, Math.max(0, (drawn[at] - fromMiddle) * gain + toMiddle))
    }
  }
}

/** Give each part of the drawn texture the target's brightness there. */
function matchLight(drawn, target, shown) {
  const own = new Float32Array(CELLS * CELLS)
  const wanted = new Float32Array(CELLS * CELLS)
  for (let y = 0; y < SIZE; y += 2) {
    for (let x = 0; x < SIZE; x += 2) {
      const i = y * SIZE + x
      const cell = ((y / CELL) | 0) * CELLS + ((x / CELL) | 0)
      own[cell] += shown[i] * (drawn[3 * i] + drawn[3 * i + 1] + drawn[3 * i + 2])
      wanted[cell] += shown[i] * (target[4 * i] + target[4 * i + 1] + target[4 * i + 2])
    }
  }

  const gains = smoothed(own, wanted)
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      const i = y * SIZE + x
      if (shown[i] === 0) continue
      const gain = between(gains, x / CELL - 0.5, y / CELL - 0.5)
      for (let c = 0; c < 3; c++) drawn[3 * i + c] = Math.min(255, drawn[3 * i + c] * gain)
    }
  }
}

/** Return the gain of each cell, from the sums of the cells around it. */
function smoothed(own, wanted) {
  return own.map((_, cell) => {
    const [row, column] = [(cell / CELLS) | 0, cell % CELLS]
    let [from, to] = [1, 1]
    for (let y = Math.max(0, row - 1); y <= Math.min(CELLS - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(CELLS - 1, column + 1); x++) {
        from += own[y * CELLS + x]
        to += wanted[y * CELLS + x]
      }
    }
    const ratio = Math.min(LIGHT_RANGE[1], Math.max(LIGHT_RANGE[0], to / from))
    return 1 + (ratio - 1) * LIGHT_SHARE
  })
}

/** Return a grid's value between its cells. */
function between(grid, x, y) {
  const [u, v] = [Math.min(CELLS - 1, Math.max(0, x)), Math.min(CELLS - 1, Math.max(0, y))]
  const [left, top] = [Math.min(u | 0, CELLS - 2), Math.min(v | 0, CELLS - 2)]
  const [fx, fy] = [u - left, v - top]
  const at = top * CELLS + left
  const upper = grid[at] + (grid[at + 1] - grid[at]) * fx
  const lower = grid[at + CELLS] + (grid[at + CELLS + 1] - grid[at + CELLS]) * fx
  return upper + (lower - upper) * fy
}

/** Return the values below which QUANTILES of a histogram lie. */
function quantiles(histogram) {
  const total = histogram.reduce((sum, count) => sum + count, 0)
  return QUANTILES.map((share) => {
    let left = share * total
    return histogram.findIndex((count) => (left -= count) <= 0)
  })
}

/** Texture pixels per pixel of the canonical mesh. */
function textureScale({ mesh, texels }) {
  return (texels[2 * 454] - texels[2 * 234]) / (mesh[3 * 454] - mesh[3 * 234])
}

/**
 * Return a function: a target's mesh in, what sets its shape apart from the canonical one out, once
 * the affine camera that fits best is taken out.
 */
function cameraSolver(mesh) {
  const count = mesh.length / 3
  const row = (i) => [mesh[3 * i], mesh[3 * i + 1], mesh[3 * i + 2], 1]
  const normal = Array.from({ length: 4 }, () => new Array(4).fill(0))
  for (let i = 0; i < count; i++) {
    const r = row(i)
    for (let a = 0; a < 4; a++) for (let b = 0; b < 4; b++) normal[a][b] += r[a] * r[b]
  }
  const inverse = invertMatrix(normal)

  return (points) => {
    const sums = Array.from({ length: 4 }, () => [0, 0])
    for (let i = 0; i < count; i++) {
      const r = row(i)
      for (let a = 0; a < 4; a++) for (let axis = 0; axis < 2; axis++) sums[a][axis] += r[a] * points[2 * i + axis]
    }
    const camera = inverse.map((line) => [0, 1].map((axis) => line.reduce((sum, v, b) => sum + v * sums[b][axis], 0)))
    const [[a, b], [c, d]] = camera
    const determinant = a * d - b * c
    const shape = new Float32Array(2 * count)

    for (let i = 0; i < count; i++) {
      const r = row(i)
      const rest = [0, 1].map((axis) => points[2 * i + axis] - r.reduce((sum, v, k) => sum + v * camera[k][axis], 0))
      shape[2 * i] = (rest[0] * d - rest[1] * c) / determinant
      shape[2 * i + 1] = (-rest[0] * b + rest[1] * a) / determinant
    }
    return shape
  }
}

/** Return the ridge-regularised radial basis that smooths shapes: noise of single points must not wrinkle. */
function smoothing(mesh) {
  const count = mesh.length / 3
  const kernel = Array.from({ length: count }, (_, i) =>
    Float64Array.from({ length: count }, (_, j) => {
      const [x, y] = [mesh[3 * i] - mesh[3 * j], mesh[3 * i + 1] - mesh[3 * j + 1]]
      return Math.exp(-(x * x + y * y) / (2 * KERNEL_PX ** 2))
    })
  )
  // K (K + r I)^-1 = I - r (K + r I)^-1, and the inverse is symmetric.
  const inverse = invertMatrix(kernel.map((line, i) => line.map((value, j) => value + (i === j ? RIDGE : 0))))
  const result = new Float32Array(count * count)
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) result[i * count + j] = (i === j ? 1 : 0) - RIDGE * inverse[i][j]
  }
  return result
}

/** Return the inverse of a symmetric positive definite matrix, by Gauss and Jordan. */
function invertMatrix(matrix) {
  const count = matrix.length
  const left = matrix.map((line) => Float64Array.from(line))
  const right = left.map((_, i) => Float64Array.from({ length: count }, (_, j) => (i === j ? 1 : 0)))

  for (let pivot = 0; pivot < count; pivot++) {
    const scale = 1 / left[pivot][pivot]
    for (let j = 0; j < count; j++) {
      left[pivot][j] *= scale
      right[pivot][j] *= scale
    }
    for (let i = 0; i < count; i++) {
      const factor = left[i][pivot]
      if (i === pivot || factor === 0) continue
      for (let j = 0; j < count; j++) {
        left[i][j] -= factor * left[pivot][j]
        right[i][j] -= factor * right[pivot][j]
      }
    }
  }
  return right
}

// 2 x 3 matrices [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f.

/** Return the inverse of a matrix. */
export function invert([a, b, c, d, e, f]) {
  const determinant = a * e - b * d
  const [ia, ib, id, ie] = [e, -b, -d, a].map((value) => value / determinant)
  return [ia, ib, -(ia * c + ib * f), id, ie, -(id * c + ie * f)]
}

/** Return points [x0, y0, x1, y1, ...] moved by a matrix. */
export function move(points, [a, b, c, d, e, f]) {
  const moved = new Float32Array(points.length)
  for (let i = 0; i < points.length; i += 2) {
    moved[i] = a * points[i] + b * points[i + 1] + c
    moved[i + 1] = d * points[i] + e * points[i + 1] + f
  }
  return moved
}

/** Return the rotation, uniform scale and shift that bring `from` nearest to `to`. */
export function similarity(from, to) {
  const count = from.length / 2
  const mean = (points, axis) => points.reduce((sum, value, i) => sum + (i % 2 === axis ? value : 0), 0) / count
  const [fx, fy, tx, ty] = [mean(from, 0), mean(from, 1), mean(to, 0), mean(to, 1)]
  let dot = 0
  let cross = 0
  let spread = 0

  for (let i = 0; i < from.length; i += 2) {
    const [x, y, u, v] = [from[i] - fx, from[i + 1] - fy, to[i] - tx, to[i + 1] - ty]
    dot += x * u + y * v
    cross += x * v - y * u
    spread += x * x + y * y
  }

  const cosine = dot / spread
  const sine = cross / spread
  return [cosine, -sine, tx - cosine * fx + sine * fy, sine, cosine, ty - sine * fx - cosine * fy]
}

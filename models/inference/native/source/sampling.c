// Bytes taken from between the pixels of an image, bilinearly, in 32nds of a pixel as OpenCV's.
#include "kernels.h"

enum { STEPS = 32 };

// Two neighbours of a row, the second in the upper byte.
INLINED uint16_t pair(const byte *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

// The same where one of them, or both, may lie past the plane: that one is `outside`.
INLINED uint16_t pair_at_edge(const byte *plane, ptrdiff_t stride, int width, int height, int x,
                              int y, int outside) {
    if ((unsigned)y >= (unsigned)height) return (uint16_t)(outside | outside << 8);
    int left = (unsigned)x < (unsigned)width ? plane[y * stride + x] : outside;
    int right = (unsigned)(x + 1) < (unsigned)width ? plane[y * stride + x + 1] : outside;
    return (uint16_t)(left | right << 8);
}

enum { PIECE = 256 };

// Bytes at `count` places x, y in 32nds; past the plane they are `outside`. What is read of the
// plane is read for a whole piece first, so that all else is arithmetic on rows.
INLINED void sample_row(const byte *plane, ptrdiff_t stride, int width, int height,
                        const int32_t *x, const int32_t *y, int count, int outside, byte *out) {
    uint16_t top[PIECE], bottom[PIECE];

    for (int first = 0; first < count; first += PIECE, x += PIECE, y += PIECE, out += PIECE) {
        int length = count - first < PIECE ? count - first : PIECE;
        for (int i = 0; i < length; i++) {
            int u = x[i] >> 5, v = y[i] >> 5;
            if ((unsigned)u < (unsigned)(width - 1) && (unsigned)v < (unsigned)(height - 1)) {
                const byte *at = plane + v * stride + u;
                top[i] = pair(at);
                bottom[i] = pair(at + stride);
            } else {
                top[i] = pair_at_edge(plane, stride, width, height, u, v, outside);
                bottom[i] = pair_at_edge(plane, stride, width, height, u, v + 1, outside);
            }
        }
        for (int i = 0; i < length; i++) {
            int a = x[i] & (STEPS - 1), b = y[i] & (STEPS - 1);
            int upper = (top[i] & 255) * (STEPS - a) + (top[i] >> 8) * a;
            int lower = (bottom[i] & 255) * (STEPS - a) + (bottom[i] >> 8) * a;
            out[i] = (byte)((upper * (STEPS - b) + lower * b + STEPS * STEPS / 2) >> 10);
        }
    }
}

// A square band at the places of a part of a map, `factor` times as fine: out [height * factor]
// [width * factor]. `where` [][][2] begins at the part; a texel of the map is `texels` of the band.
// `outside` is what lies past the band. A row of the map is at most 1024 wide, `factor` at most 3.
FAST void band_at(const byte *band, int side, const float *where, ptrdiff_t where_stride,
                  int width, int height, int factor, int texels, int outside, byte *out) {
    const float shift = (texels - 1) * 0.5f, most = 4.0f * side;
    // With a place of its own on either side, for what lies past the first and the last centre.
    float rows[2][1024 + 2];
    int32_t places[2][1024];
    byte taken[1024];

    for (int y = 0; y < height * factor; y++) {
        float middle = (y + 0.5f) / factor - 0.5f;
        int above = middle < 0.0f ? -1 : (int)middle;
        float down = middle - above;
        const float *upper = where + clamped(above, 0, height - 1) * where_stride;
        const float *lower = where + clamped(above + 1, 0, height - 1) * where_stride;
        byte *to = out + (ptrdiff_t)y * width * factor;

        for (int c = 0; c < 2; c++) {
            float *row = rows[c] + 1;
            for (int i = 0; i < width; i++) {
                float place = upper[2 * i + c] + (lower[2 * i + c] - upper[2 * i + c]) * down;
                place = place * texels + shift;
                // Nowhere is far off; so far that it does not fit an int is far enough.
                place = place < -most ? -most : place;
                row[i] = (place > most ? most : place) * STEPS + 0.5f;
            }
            row[-1] = row[0];
            row[width] = row[width - 1];
        }

        for (int phase = 0; phase < factor; phase++) {
            float part = (phase + 0.5f) / factor - 0.5f;
            float share = part < 0.0f ? part + 1 : part;
            for (int c = 0; c < 2; c++) {
                const float *low = part < 0.0f ? rows[c] : rows[c] + 1;
                for (int i = 0; i < width; i++) {
                    float at = low[i] + (low[i + 1] - low[i]) * share;
                    places[c][i] = (int32_t)at - (at < 0.0f);
                }
            }

            sample_row(band, side, side, side, places[0], places[1], width, outside, taken);
            for (int i = 0; i < width; i++) to[i * factor + phase] = taken[i];
        }
    }
}

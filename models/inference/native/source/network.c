// Between bytes and a network's floats.
#include "kernels.h"

// RGB bytes [count][3] to planes [3][count] in 0..1.
FAST void to_planes(const byte *image, int count, float *planes) {
    const float scale = 1.0f / 255.0f;
    float *red = planes, *green = planes + count, *blue = planes + 2 * (ptrdiff_t)count;

    for (int i = 0; i < count; i++) {
        red[i] = image[3 * i] * scale;
        green[i] = image[3 * i + 1] * scale;
        blue[i] = image[3 * i + 2] * scale;
    }
}

// Two RGB images [size][size][3] to the first six of `count` planes [size + 2][size + 2] in 0..1,
// within a rim of one pixel that is `grey`, as are the other planes.
FAST void to_framed_planes(const byte *target, const byte *texture, int size, int count, float grey,
                           float *planes) {
    const float scale = 1.0f / 255.0f;
    const ptrdiff_t side = size + 2;
    for (ptrdiff_t i = 0; i < count * side * side; i++) planes[i] = grey;

    for (int y = 0; y < size; y++) {
        for (int image = 0; image < 2; image++) {
            const byte *row = (image ? texture : target) + 3 * (ptrdiff_t)y * size;
            float *red = planes + (3 * image * side + y + 1) * side + 1;
            float *green = red + side * side, *blue = green + side * side;
            split_row(row, size, red, green, blue);
            for (int x = 0; x < size; x++) red[x] *= scale;
            for (int x = 0; x < size; x++) green[x] *= scale;
            for (int x = 0; x < size; x++) blue[x] *= scale;
        }
    }
}

// The face [2 half][2 half][3] of the blend head: target + weight (texture - target) + residual.
// Each plane of `weight` [4][half][half] and `residual` [3][4][half][half] is one pixel of four.
// `half` is at most 256.
FAST void blended_face(const byte *target, const byte *texture, const float *weight,
                       const float *residual, int half, byte *face) {
    const ptrdiff_t plane = (ptrdiff_t)half * half;
    float share[3 * 512], more[3 * 512];

    for (int y = 0; y < 2 * half; y++) {
        for (int x = 0; x < 2; x++) {
            const ptrdiff_t from = ((y & 1) * 2 + x) * plane + (ptrdiff_t)(y / 2) * half;
            for (int c = 0; c < 3; c++) {
                const float *added = residual + 4 * c * plane + from;
                for (int i = 0; i < half; i++) {
                    share[3 * (2 * i + x) + c] = weight[from + i];
                    more[3 * (2 * i + x) + c] = added[i];
                }
            }
        }

        const byte *own = target + (ptrdiff_t)y * 6 * half, *shown = texture + (ptrdiff_t)y * 6 * half;
        byte *out = face + (ptrdiff_t)y * 6 * half;
        for (int i = 0; i < 6 * half; i++)
            out[i] = to_byte(own[i] + share[i] * (shown[i] - own[i]) + 255.0f * more[i]);
    }
}

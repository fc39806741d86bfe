// A small triangle mesh drawn into a map of two values.
#include "kernels.h"

// The whole number within -`below`..`size` that is nearest to a float, however large that is.
INLINED int pixel_of(float place, int below, int size) {
    return (int)fmaxf(-(float)below, fminf((float)size, place));
}

// Draw triangles [count][3] of vertices [][2] with values [][2] into a map [size][size][2], which
// is `nowhere` where nothing is. Triangles seen from behind are left out; of several that cover a
// pixel the last one counts. A pixel within `edge` of a triangle belongs to it, or cracks would show.
FAST void rasterise(const float *vertices, const int32_t *triangles, int count,
                        const float *values, int size, float edge, float nowhere, float *map) {
    for (int i = 0; i < 2 * size * size; i++) map[i] = nowhere;

    for (int k = 0; k < count; k++) {
        const float *a = vertices + 2 * triangles[3 * k];
        const float *b = vertices + 2 * triangles[3 * k + 1];
        const float *c = vertices + 2 * triangles[3 * k + 2];
        float x2 = b[0] - a[0], y2 = b[1] - a[1], x3 = c[0] - a[0], y3 = c[1] - a[1];
        float area = x2 * y3 - y2 * x3;
        // Turned away, or no pixel large.
        if (!(area > 1e-4f)) continue;

        // Barycentric coordinates of the second and the third corner: planes over x and y.
        float pa = y3 / area, pb = -x3 / area, qa = -y2 / area, qb = x2 / area;

        int left = pixel_of(ceilf(fminf(a[0], fminf(b[0], c[0])) - edge), 0, size);
        int right = pixel_of(floorf(fmaxf(a[0], fmaxf(b[0], c[0])) + edge), 1, size - 1);
        int top = pixel_of(ceilf(fminf(a[1], fminf(b[1], c[1])) - edge), 0, size);
        int bottom = pixel_of(floorf(fmaxf(a[1], fmaxf(b[1], c[1])) + edge), 1, size - 1);

        const float *first = values + 2 * triangles[3 * k];
        const float *second = values + 2 * triangles[3 * k + 1];
        const float *third = values + 2 * triangles[3 * k + 2];
        float u2 = second[0] - first[0], v2 = second[1] - first[1];
        float u3 = third[0] - first[0], v3 = third[1] - first[1];

        for (int y = top; y <= bottom; y++) {
            for (int x = left; x <= right; x++) {
                float p = pa * (x - a[0]) + pb * (y - a[1]);
                float q = qa * (x - a[0]) + qb * (y - a[1]);
                if (p < -edge || q < -edge || 1 - p - q < -edge) continue;

                float *at = map + 2 * (y * size + x);
                at[0] = first[0] + u2 * p + u3 * q;
                at[1] = first[1] + v2 * p + v3 * q;
            }
        }
    }
}

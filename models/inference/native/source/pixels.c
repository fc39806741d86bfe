// Bytes mixed, lit and sharpened, each in one pass.
#include "kernels.h"

// Mix a face [height][width][channels] into a part of an image by levels [height][width] in 128ths.
FAST void blend(byte *target, ptrdiff_t target_stride, const byte *face, ptrdiff_t face_stride,
                const byte *levels, ptrdiff_t level_stride, int width, int height, int channels) {
    for (int y = 0; y < height; y++) {
        byte *to = target + y * target_stride;
        const byte *from = face + y * face_stride;
        const byte *share = levels + y * level_stride;

        if (channels == 1) {
            for (int x = 0; x < width; x++)
                to[x] = (byte)(to[x] + (((from[x] - to[x]) * share[x] + 64) >> 7));
        } else {
            for (int x = 0; x < width; x++)
                for (int c = 0; c < 3; c++) {
                    int i = 3 * x + c;
                    to[i] = (byte)(to[i] + (((from[i] - to[i]) * share[x] + 64) >> 7));
                }
        }
    }
}

// A row of `cells` enlarged `times`, linearly, from centre to centre. The row has a cell of its own
// on either side, for what lies before its first centre and past its last one.
INLINED void enlarged_row(float *row, int cells, int times, float *out) {
    float part[512];
    row[-1] = row[0];
    row[cells] = row[cells - 1];

    for (int phase = 0; phase < times; phase++) {
        float place = (phase + 0.5f) / times - 0.5f;
        const float *low = place < 0.0f ? row - 1 : row;
        float share = place < 0.0f ? place + 1 : place;
        for (int i = 0; i < cells; i++) part[i] = low[i] + (low[i + 1] - low[i]) * share;
        for (int i = 0; i < cells; i++) out[i * times + phase] = part[i];
    }
}

// A drawn face [size][size][3] in another light: colours by a matrix [3][3], at most `most`, times a
// factor by the pixel's own luma [256], times a gain [grid][grid][3] that is enlarged. `size` is at
// most 512.
FAST void lit(const byte *drawn, const float *gain, int grid, const float *tones,
              const float *colours, float most, int size, byte *out) {
    const int times = size / grid;
    float between[514], factor[512], tone[512], from[3][512];
    byte level[512], to[3][512];

    for (int y = 0; y < size; y++) {
        float place = (y + 0.5f) / times - 0.5f;
        int before = place < 0.0f ? -1 : (int)place;
        float down = place - before;
        const float *upper = gain + 3 * clamped(before, 0, grid - 1) * grid;
        const float *lower = gain + 3 * clamped(before + 1, 0, grid - 1) * grid;

        split_row(drawn + 3 * (ptrdiff_t)y * size, size, from[0], from[1], from[2]);
        for (int x = 0; x < size; x++)
            level[x] = to_byte(0.299f * from[0][x] + 0.587f * from[1][x] + 0.114f * from[2][x]);
        for (int x = 0; x < size; x++) tone[x] = tones[level[x]];

        for (int c = 0; c < 3; c++) {
            const float *row = colours + 3 * c;
            for (int i = 0; i < grid; i++)
                between[i + 1] = upper[3 * i + c] + (lower[3 * i + c] - upper[3 * i + c]) * down;
            enlarged_row(between + 1, grid, times, factor);

            for (int x = 0; x < size; x++) {
                float value = row[0] * from[0][x] + row[1] * from[1][x] + row[2] * from[2][x];
                value = value < 0.0f ? 0.0f : value > most ? most : value;
                to[c][x] = to_byte(factor[x] * value * tone[x]);
            }
        }
        join_row(to[0], to[1], to[2], size, out + 3 * (ptrdiff_t)y * size);
    }
}

// A face with `more` of what it has beside its own blur, at most `most` levels.
FAST void sharpened(const byte *face, const byte *blur, int count, float more, float most,
                    byte *out) {
    for (int i = 0; i < count; i++) {
        float added = (face[i] - blur[i]) * more;
        added = added > most ? most : added < -most ? -most : added;
        int level = face[i] + (int)added;
        out[i] = (byte)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}

// A face [count][3] with a share of what `grey` has beside its own blur, where that is less than
// `most` levels: grain, and no edge.
FAST void grained(const byte *face, const byte *grey, const byte *blur, int count, float share,
                  float most, byte *out) {
    int16_t added[256], thrice[3 * 256];

    // In pieces, so that each pass runs over what is still in the cache.
    for (int first = 0; first < count; first += 256) {
        int length = count - first < 256 ? count - first : 256;
        for (int i = 0; i < length; i++) {
            int grain = grey[first + i] - blur[first + i];
            added[i] = (int16_t)((grain < most) & (-grain < most) ? (int)(grain * share) : 0);
        }
        for (int i = 0; i < length; i++)
            thrice[3 * i] = thrice[3 * i + 1] = thrice[3 * i + 2] = added[i];

        for (int i = 0; i < 3 * length; i++) {
            int level = face[3 * first + i] + thrice[i];
            out[3 * first + i] = (byte)(level < 0 ? 0 : level > 255 ? 255 : level);
        }
    }
}

// A face [count][3], in place, times a factor for each byte of a band [count].
FAST void times_band(byte *face, const byte *band, const float *factors, int count) {
    float thrice[3 * 256];

    for (int first = 0; first < count; first += 256) {
        int length = count - first < 256 ? count - first : 256;
        for (int i = 0; i < length; i++)
            thrice[3 * i] = thrice[3 * i + 1] = thrice[3 * i + 2] = factors[band[first + i]];
        for (int i = 0; i < 3 * length; i++)
            face[3 * first + i] = to_byte(face[3 * first + i] * thrice[i]);
    }
}

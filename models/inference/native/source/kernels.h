// What all kernels share. See docs/decisions/0023-native-kernels.md.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t byte;

// The linker keeps everything else to itself.
#define EXPORTED __attribute__((visibility("default")))

// Each of these is compiled for several kinds of CPU; the loader takes the best one. Products and
// sums are not contracted (-ffp-contract=off), so all of them give the same bytes.
#ifdef CLONES
#define FAST EXPORTED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FAST EXPORTED
#endif

// Within each clone, or it would be compiled for any CPU alone.
#define INLINED static inline __attribute__((always_inline))

INLINED int clamped(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

// Round to the nearest level and keep it within a byte.
INLINED byte to_byte(float value) {
    value += 0.5f;
    value = value < 0.0f ? 0.0f : value;
    value = value > 255.0f ? 255.0f : value;
    return (byte)value;
}

// A row of RGB bytes as three rows, and back.
INLINED void split_row(const byte *pixels, int count, float *red, float *green, float *blue) {
    for (int i = 0; i < count; i++) {
        red[i] = pixels[3 * i];
        green[i] = pixels[3 * i + 1];
        blue[i] = pixels[3 * i + 2];
    }
}

INLINED void join_row(const byte *red, const byte *green, const byte *blue, int count,
                            byte *pixels) {
    for (int i = 0; i < count; i++) {
        pixels[3 * i] = red[i];
        pixels[3 * i + 1] = green[i];
        pixels[3 * i + 2] = blue[i];
    }
}

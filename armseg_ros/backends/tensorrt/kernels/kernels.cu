// SPDX-License-Identifier: Apache-2.0
// Pixels to network input, network rows to candidates, coefficients to mask bits.
//
// Plain CUDA without any library, so that the same file also compiles as C++ for the tests. Every
// kernel is launched on a grid that covers its outputs; threads beyond them return.
#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

#define COLUMN ((int)(blockIdx.x * blockDim.x + threadIdx.x))
#define ROW ((int)(blockIdx.y * blockDim.y + threadIdx.y))

// The grey of YOLOv5's padding, out of 255.
#define PAD_VALUE 114.0f

static __device__ __forceinline__ int clamped(int value, int low, int high) {
  return value < low ? low : (value > high ? high : value);
}

static __device__ __forceinline__ float to_float(float value) { return value; }
static __device__ __forceinline__ float to_float(__half value) { return __half2float(value); }
static __device__ __forceinline__ void store(float* place, float value) { *place = value; }
static __device__ __forceinline__ void store(__half* place, float value) {
  *place = __float2half_rn(value);
}

// A picture as it lies in memory.
//   pixel_bytes: 1 mono, 3 or 4 colour; 0 for a Bayer pattern of one byte per pixel
//   red: byte of the red sample in a pixel (0 or 2); of a Bayer pattern x + 2 y of its red site
struct Picture {
  const unsigned char* data;
  int pitch, width, height, pixel_bytes, red;
};

static __device__ __forceinline__ float colour_sample(const Picture& p, int x, int y, int channel) {
  x = clamped(x, 0, p.width - 1);
  y = clamped(y, 0, p.height - 1);
  int byte = p.pixel_bytes == 1 ? 0 : (channel == 1 ? 1 : (channel == 0 ? p.red : 2 - p.red));
  return p.data[(long long)y * p.pitch + x * p.pixel_bytes + byte];
}

// Mirrored at the border, which keeps the pattern: -1 becomes 1, width becomes width - 2.
static __device__ __forceinline__ float bayer_site(const Picture& p, int x, int y) {
  x = x < 0 ? -x : (x >= p.width ? 2 * (p.width - 1) - x : x);
  y = y < 0 ? -y : (y >= p.height ? 2 * (p.height - 1) - y : y);
  return p.data[(long long)clamped(y, 0, p.height - 1) * p.pitch + clamped(x, 0, p.width - 1)];
}

// Bilinear demosaicing of one channel (0 red, 1 green, 2 blue) at one pixel.
static __device__ __forceinline__ float bayer_sample(const Picture& p, int x, int y, int channel) {
  x = clamped(x, 0, p.width - 1);
  y = clamped(y, 0, p.height - 1);
  int across = (x ^ p.red) & 1, down = (y ^ (p.red >> 1)) & 1;  // 0, 0 at a red site
  if (channel == 1) {
    if (across != down) return bayer_site(p, x, y);
    return 0.25f * (bayer_site(p, x - 1, y) + bayer_site(p, x + 1, y) + bayer_site(p, x, y - 1) +
                    bayer_site(p, x, y + 1));
  }
  if (channel == 2) { across ^= 1; down ^= 1; }  // now 0, 0 at a site of this channel
  if (!across && !down) return bayer_site(p, x, y);
  if (!down) return 0.5f * (bayer_site(p, x - 1, y) + bayer_site(p, x + 1, y));
  if (!across) return 0.5f * (bayer_site(p, x, y - 1) + bayer_site(p, x, y + 1));
  return 0.25f * (bayer_site(p, x - 1, y - 1) + bayer_site(p, x + 1, y - 1) +
                  bayer_site(p, x - 1, y + 1) + bayer_site(p, x + 1, y + 1));
}

// The four sites of a pattern as one pixel of half the size.
static __device__ __forceinline__ float quad_sample(const Picture& p, int x, int y, int channel) {
  x = 2 * clamped(x, 0, (p.width - 1) / 2);
  y = 2 * clamped(y, 0, (p.height - 1) / 2);
  int red_x = p.red & 1, red_y = p.red >> 1;
  if (channel == 0) return bayer_site(p, x + red_x, y + red_y);
  if (channel == 2) return bayer_site(p, x + 1 - red_x, y + 1 - red_y);
  return 0.5f * (bayer_site(p, x + 1 - red_x, y + red_y) + bayer_site(p, x + red_x, y + 1 - red_y));
}

// Bilinear with pixel centres at half numbers, as OpenCV's INTER_LINEAR; red, green, blue planes.
//   left, top, right, bottom: the resized picture in the network's input; padding around it
//   gain_x, gain_y: source pixels per network pixel
template <typename T, float (*sample)(const Picture&, int, int, int)>
static __device__ __forceinline__ void letterbox(const Picture& p, T* out, int width, int height,
                                                 int left, int top, int right, int bottom,
                                                 float gain_x, float gain_y) {
  int x = COLUMN, y = ROW;
  if (x >= width || y >= height) return;
  int inside = x >= left && y >= top && x < right && y < bottom;
  float source_x = (x - left + 0.5f) * gain_x - 0.5f, source_y = (y - top + 0.5f) * gain_y - 0.5f;
  int x0 = (int)floorf(source_x), y0 = (int)floorf(source_y);
  float ax = source_x - x0, ay = source_y - y0;
#pragma unroll 1
  for (int c = 0; c < 3; c++) {
    float value = PAD_VALUE;
    if (inside) {
      float above = sample(p, x0, y0, c) * (1 - ax) + sample(p, x0 + 1, y0, c) * ax;
      float below = sample(p, x0, y0 + 1, c) * (1 - ax) + sample(p, x0 + 1, y0 + 1, c) * ax;
      value = above * (1 - ay) + below * ay;
    }
    store(out + ((long long)c * height + y) * width + x, value * (1.0f / 255.0f));
  }
}

#define LETTERBOX(NAME, T, SAMPLE)                                                               \
  extern "C" __global__ void NAME(const unsigned char* data, int pitch, int source_width,        \
                                  int source_height, int pixel_bytes, int red, T* out, int width, \
                                  int height, int left, int top, int right, int bottom,          \
                                  float gain_x, float gain_y) {                                  \
    Picture p = {data, pitch, source_width, source_height, pixel_bytes, red};                    \
    letterbox<T, SAMPLE>(p, out, width, height, left, top, right, bottom, gain_x, gain_y);       \
  }
LETTERBOX(letterbox_colour_f32, float, colour_sample)
LETTERBOX(letterbox_colour_f16, __half, colour_sample)
LETTERBOX(letterbox_bayer_f32, float, bayer_sample)
LETTERBOX(letterbox_bayer_f16, __half, bayer_sample)
// For two source pixels per network pixel and more, where quads lose nothing; the gains are then
// in quads per network pixel.
LETTERBOX(letterbox_quads_f32, float, quad_sample)
LETTERBOX(letterbox_quads_f16, __half, quad_sample)

// Keep the rows whose objectness, and whose objectness times best class score, pass a threshold.
//   row_step, column_step: elements from row to row and from column to column, which lets the same
//     kernel read YOLOv5's rows and YOLOv8's columns
//   has_objectness: 0 where the fifth column is missing, and is written as 1
//   kept, numbers: up to `capacity` rows of 5 + classes + masks floats and their row numbers, in
//     any order; `count` goes on beyond the capacity, so that the loss shows
template <typename T>
static __device__ __forceinline__ void select_rows(const T* rows, int row_count, int row_step,
                                                   int column_step, int has_objectness, int classes,
                                                   int masks, float threshold, float* kept,
                                                   int* numbers, int* count, int capacity) {
  int number = COLUMN;
  if (number >= row_count) return;
  const T* row = rows + (long long)number * row_step;
  float objectness = has_objectness ? to_float(row[4LL * column_step]) : 1.0f;
  if (!(objectness > threshold)) return;
  int first = has_objectness ? 5 : 4;
  int passes = 0;
#pragma unroll 1
  for (int c = 0; c < classes; c++)
    passes |= to_float(row[(long long)(first + c) * column_step]) * objectness > threshold;
  if (!passes) return;
  int slot = atomicAdd(count, 1);
  if (slot >= capacity) return;
  numbers[slot] = number;
  float* out = kept + (long long)slot * (5 + classes + masks);
#pragma unroll 1
  for (int c = 0; c < 4; c++) out[c] = to_float(row[(long long)c * column_step]);
  out[4] = objectness;
#pragma unroll 1
  for (int c = 0; c < classes + masks; c++)
    out[5 + c] = to_float(row[(long long)(first + c) * column_step]);
}

#define SELECT_ROWS(NAME, T)                                                                      \
  extern "C" __global__ void NAME(const T* rows, int row_count, int row_step, int column_step,    \
                                  int has_objectness, int classes, int masks, float threshold,    \
                                  float* kept, int* numbers, int* count, int capacity) {          \
    select_rows(rows, row_count, row_step, column_step, has_objectness, classes, masks, threshold, \
                kept, numbers, count, capacity);                                                  \
  }
SELECT_ROWS(select_rows_f32, float)
SELECT_ROWS(select_rows_f16, __half)

// Logits of one instance on its window of the prototypes: out[y][x] = coefficients . prototypes.
//   window: first column, first row, width, height in prototype pixels
template <typename T>
static __device__ __forceinline__ void mask_logits(const float* coefficients, const T* prototypes,
                                                   int masks, int columns, int rows, int first_x,
                                                   int first_y, int width, int height, float* out) {
  int x = COLUMN, y = ROW;
  if (x >= width || y >= height) return;
  const T* pixel = prototypes + (long long)(first_y + y) * columns + first_x + x;
  float sum = 0.0f;
#pragma unroll 4
  for (int m = 0; m < masks; m++)
    sum += coefficients[m] * to_float(pixel[(long long)m * columns * rows]);
  out[y * width + x] = sum;
}

#define MASK_LOGITS(NAME, T)                                                                     \
  extern "C" __global__ void NAME(const float* coefficients, const T* prototypes, int masks,     \
                                  int columns, int rows, int first_x, int first_y, int width,    \
                                  int height, float* out) {                                      \
    mask_logits(coefficients, prototypes, masks, columns, rows, first_x, first_y, width, height, \
                out);                                                                            \
  }
MASK_LOGITS(mask_logits_f32, float)
MASK_LOGITS(mask_logits_f16, __half)

// The mask of one instance in source pixels: set where the bilinear logit is above 0.
//   start_x, step_x: logit pixel of the first source pixel's centre, and from one to the next
//   out: rows of `words` 32-bit words, the leftmost pixel in the lowest bit; bits beyond are 0
extern "C" __global__ void mask_bits(const float* logits, int width, int height, float start_x,
                                     float step_x, float start_y, float step_y, int crop_width,
                                     int crop_height, int words, unsigned* out) {
  int word = COLUMN, y = ROW;
  if (word >= words || y >= crop_height) return;
  float at_y = start_y + y * step_y;
  at_y = at_y < 0 ? 0 : (at_y > height - 1 ? height - 1 : at_y);
  int y0 = (int)at_y, y1 = y0 + 1 < height ? y0 + 1 : y0;
  float ay = at_y - y0;
  unsigned bits = 0;
#pragma unroll 1
  for (int bit = 0; bit < 32 && word * 32 + bit < crop_width; bit++) {
    float at_x = start_x + (word * 32 + bit) * step_x;
    at_x = at_x < 0 ? 0 : (at_x > width - 1 ? width - 1 : at_x);
    int x0 = (int)at_x, x1 = x0 + 1 < width ? x0 + 1 : x0;
    float ax = at_x - x0;
    float above = logits[y0 * width + x0] * (1 - ax) + logits[y0 * width + x1] * ax;
    float below = logits[y1 * width + x0] * (1 - ax) + logits[y1 * width + x1] * ax;
    bits |= (above * (1 - ay) + below * ay > 0.0f ? 1u : 0u) << bit;
  }
  out[(long long)y * words + word] = bits;
}

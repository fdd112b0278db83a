// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels as C++: one thread after the other, over the whole grid of a launch.
#include <cmath>

#define __global__
#define __device__
#define __forceinline__ inline

typedef _Float16 __half;
struct Index { int x, y; };
static Index blockIdx, blockDim, threadIdx;
static inline float __half2float(__half value) { return (float)value; }
static inline __half __float2half_rn(float value) { return (__half)value; }
static inline int atomicAdd(int* place, int value) { int old = *place; *place += value; return old; }

#include "kernels.cu"

// Call a kernel for every thread of a grid of blocks.
template <typename Kernel, typename... Arguments>
static void launch(const int* grid, Kernel kernel, Arguments... arguments) {
  blockDim = {grid[2], grid[3]};
  for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
    for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++)
      for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) kernel(arguments...);
}

#define LETTERBOX_ON_CPU(NAME, T)                                                                  \
  extern "C" void launch_##NAME(const int* grid, const unsigned char* a, int b, int c, int d,      \
                                int e, int f, T* g, int h, int i, int j, int k, int l, int m,      \
                                float n, float o) {                                                \
    launch(grid, NAME, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);                               \
  }
LETTERBOX_ON_CPU(letterbox_colour_f32, float)
LETTERBOX_ON_CPU(letterbox_colour_f16, __half)
LETTERBOX_ON_CPU(letterbox_bayer_f32, float)
LETTERBOX_ON_CPU(letterbox_bayer_f16, __half)
LETTERBOX_ON_CPU(letterbox_quads_f32, float)
LETTERBOX_ON_CPU(letterbox_quads_f16, __half)

#define SELECT_ON_CPU(NAME, T)                                                                     \
  extern "C" void launch_##NAME(const int* grid, const T* a, int b, int c, int d, int e, int f,    \
                                int g, float h, float* i, int* j, int* k, int l) {                 \
    launch(grid, NAME, a, b, c, d, e, f, g, h, i, j, k, l);                                        \
  }
SELECT_ON_CPU(select_rows_f32, float)
SELECT_ON_CPU(select_rows_f16, __half)

#define LOGITS_ON_CPU(NAME, T)                                                                     \
  extern "C" void launch_##NAME(const int* grid, const float* a, const T* b, int c, int d, int e,  \
                                int f, int g, int h, int i, float* j) {                            \
    launch(grid, NAME, a, b, c, d, e, f, g, h, i, j);                                              \
  }
LOGITS_ON_CPU(mask_logits_f32, float)
LOGITS_ON_CPU(mask_logits_f16, __half)

extern "C" void launch_mask_bits(const int* grid, const float* a, int b, int c, float d, float e,
                                 float f, float g, int h, int i, int j, unsigned* k) {
  launch(grid, mask_bits, a, b, c, d, e, f, g, h, i, j, k);
}

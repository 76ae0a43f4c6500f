#pragma once

// One source, three machine targets, chosen when the program starts: AVX-512, AVX2 with FMA, and the x86-64 baseline.
// On other processors the plain C is compiled for whatever the compiler targets.
#if defined(__x86_64__) && defined(__linux__)
#define CRVQ_DISPATCHED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CRVQ_DISPATCHED
#endif

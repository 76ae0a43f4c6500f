#pragma once

#include <stdbool.h>
#include <stddef.h>

// What libzmq carries with nothing around it: `count` messages of `length` bytes from a PUSH to a PULL socket over
// loopback, each in a context with one I/O thread and on a thread of its own, as libzmq's own throughput test does.
//
// Returns the seconds from the first message to the last, or -1 if a call of libzmq failed; `curve` encrypts.
double plain_transfer(size_t length, size_t count, bool curve);

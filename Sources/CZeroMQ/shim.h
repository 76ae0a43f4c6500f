#pragma once

#include <errno.h>
#include <sys/eventfd.h>
#include <zmq.h>

// libzmq 4.3 honours these options, but its installed header hides them behind ZMQ_BUILD_DRAFT_API.
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

// libzmq keeps its own errno for callers that live in another C runtime; a function, because Swift cannot read errno
// reliably after another call.
static inline int crvq_zmq_errno(void) { return zmq_errno(); }

// Swift's Glibc module lacks sys/eventfd.h.
static inline int crvq_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

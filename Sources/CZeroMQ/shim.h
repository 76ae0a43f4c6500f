#pragma once

#include <errno.h>
#include <zmq.h>

// libzmq 4.3 honours these options, but its installed header hides them behind ZMQ_BUILD_DRAFT_API.
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

// libzmq keeps its own errno for callers that live in another C runtime; a function, because Swift cannot read errno
// reliably after another call.
static inline int crvq_zmq_errno(void) { return zmq_errno(); }

#include "PlainTransfer.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

// Messages that wait at either end, as in the transfer of artifacts.
enum { QUEUE = 16, KEY = 41, ENDPOINT = 64 };

struct sender {
  void *socket;
  size_t length, count;
  bool failed;
};

static void *send_all(void *argument) {
  struct sender *sender = argument;
  for (size_t i = 0; i < sender->count && !sender->failed; i++) {
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, sender->length) != 0) {
      sender->failed = true;
    } else {
      memset(zmq_msg_data(&message), (int)i, sender->length);
      sender->failed = zmq_msg_send(&message, sender->socket, 0) < 0;
    }
  }
  return NULL;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool set(void *socket, int option, int value) {
  return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool use_keys(void *push, void *pull) {
  char server_public[KEY], server_secret[KEY], client_public[KEY], client_secret[KEY];
  return zmq_curve_keypair(server_public, server_secret) == 0 && zmq_curve_keypair(client_public, client_secret) == 0 &&
         set(push, ZMQ_CURVE_SERVER, 1) && zmq_setsockopt(push, ZMQ_CURVE_SECRETKEY, server_secret, KEY) == 0 &&
         zmq_setsockopt(pull, ZMQ_CURVE_SERVERKEY, server_public, KEY) == 0 &&
         zmq_setsockopt(pull, ZMQ_CURVE_PUBLICKEY, client_public, KEY) == 0 &&
         zmq_setsockopt(pull, ZMQ_CURVE_SECRETKEY, client_secret, KEY) == 0;
}

static bool join(void *push, void *pull, bool curve) {
  char endpoint[ENDPOINT];
  size_t size = sizeof endpoint;
  return set(push, ZMQ_SNDHWM, QUEUE) && set(pull, ZMQ_RCVHWM, QUEUE) && (!curve || use_keys(push, pull)) &&
         zmq_bind(push, "tcp://127.0.0.1:*") == 0 &&
         zmq_getsockopt(push, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0 && zmq_connect(pull, endpoint) == 0;
}

static double receive_all(void *socket, size_t count) {
  double start = 0;
  for (size_t i = 0; i <= count; i++) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    int result = zmq_msg_recv(&message, socket, 0);
    zmq_msg_close(&message);
    if (result < 0) return -1;
    if (i == 0) start = now();
  }
  return now() - start;
}

double plain_transfer(size_t length, size_t count, bool curve) {
  void *here = zmq_ctx_new(), *there = zmq_ctx_new();
  // One more than is timed: the first starts the clock.
  struct sender sender = {zmq_socket(here, ZMQ_PUSH), length, count + 1, false};
  void *pull = zmq_socket(there, ZMQ_PULL);
  double seconds = -1;
  pthread_t thread;
  if (join(sender.socket, pull, curve) && pthread_create(&thread, NULL, send_all, &sender) == 0) {
    seconds = receive_all(pull, count);
    pthread_join(thread, NULL);
  }
  zmq_close(sender.socket);
  zmq_close(pull);
  zmq_ctx_term(here);
  zmq_ctx_term(there);
  return sender.failed ? -1 : seconds;
}

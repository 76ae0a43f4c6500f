// Preloaded into a program under test: its TCP connections to this machine go through a proxy of the test.
//
//   DETOUR_PORT  where the proxy tells, for a port that is to be reached, the port that leads there by a detour
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int (*real_connect)(int, const struct sockaddr *, socklen_t);

// The port that leads to `port`; 0 if the proxy does not say.
static int ask(int port) {
  const char *proxy = getenv("DETOUR_PORT");
  if (!proxy) return 0;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(proxy))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  char text[16] = {0};
  int detour = 0;
  if (real_connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
    int length = snprintf(text, sizeof text, "%d\n", port);
    if (write(fd, text, (size_t)length) == length) {
      memset(text, 0, sizeof text);
      if (read(fd, text, sizeof text - 1) > 0) detour = atoi(text);
    }
  }
  close(fd);
  return detour;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  if (!real_connect) real_connect = dlsym(RTLD_NEXT, "connect");
  int kind = 0;
  socklen_t kind_length = sizeof kind;
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &kind_length);
  if (kind != SOCK_STREAM || address->sa_family != AF_INET || length < sizeof(struct sockaddr_in)) {
    return real_connect(fd, address, length);
  }
  struct sockaddr_in target;
  memcpy(&target, address, sizeof target);
  int detour = ask(ntohs(target.sin_port));
  if (detour) target.sin_port = htons((uint16_t)detour);
  return real_connect(fd, (struct sockaddr *)&target, sizeof target);
}

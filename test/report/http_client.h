/* SPDX-License-Identifier: MIT
 * http_client.h: a client that sends what it is told, fit or not, and reads what comes back. */
#ifndef ECG_TEST_REPORT_HTTP_CLIENT_H
#define ECG_TEST_REPORT_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct {
    int status;       /* 0: the connection ended without one */
    char *text;       /* the whole reply, ended by 0; free */
    const char *body; /* in it, NULL: none */
    size_t body_len;
} reply;

static int dial(int port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to)) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 30}, sizeof(struct timeval));
    return fd;
}

static int send_all(int fd, const void *bytes, size_t len)
{
    for (const char *at = bytes; len;) {
        const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Up to the end of the connection. */
static reply read_reply(int fd)
{
    reply r = {.text = malloc(1 << 22)};
    size_t n = 0;
    for (ssize_t got; r.text && n < (1 << 22) - 1 && (got = recv(fd, r.text + n, (1 << 22) - 1 - n, 0)) > 0;)
        n += (size_t)got;
    if (!r.text)
        return r;
    r.text[n] = 0;
    if (n > 12 && strncmp(r.text, "HTTP/1.", 7) == 0)
        r.status = atoi(r.text + 9);
    char *end = strstr(r.text, "\r\n\r\n");
    if (end) {
        r.body = end + 4;
        r.body_len = n - (size_t)(r.body - r.text);
    }
    return r;
}

static reply ask_bytes(int port, const void *request, size_t len)
{
    const int fd = dial(port);
    if (fd < 0)
        return (reply){0};
    send_all(fd, request, len); /* a refusal may come before all is sent */
    const reply r = read_reply(fd);
    close(fd);
    return r;
}

/* Status of a request that is text. */
static int status_of(int port, const char *request)
{
    reply r = ask_bytes(port, request, strlen(request));
    free(r.text);
    return r.status;
}

#endif

/* The web server of http_server.py beside a test. */
#ifndef KTI_TESTS_HTTP_H
#define KTI_TESTS_HTTP_H

#include <stddef.h>
#include <sys/types.h>

typedef struct http_server {
    char log[256];
    char url[64]; /* "http://127.0.0.1:PORT" */
    int input;    /* it ends when this is closed, so also when the test crashes */
    pid_t process;
} http_server;

/* Starts one that logs into a file of `folder`; fails the test if it cannot. */
void http_start(http_server *server, const char *folder);
void http_stop(http_server *server);

/* Requests so far whose line in the log holds the text. */
int http_count(const http_server *server, const char *text);

#endif

#include "http.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void http_start(http_server *server, const char *folder)
{
    int input[2], output[2], port = 0;
    snprintf(server->log, sizeof server->log, "%s/http.log", folder);
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    /* No other child may keep it alive. */
    fcntl(input[1], F_SETFD, FD_CLOEXEC);
    server->process = fork();
    assert_true(server->process >= 0);
    if (server->process == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        close(input[0]);
        close(output[0]);
        close(output[1]);
        execlp("python3", "python3", "-B", "tests/http_server.py", server->log, (char *)NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    server->input = input[1];
    FILE *said = fdopen(output[0], "r");
    assert_non_null(said);
    if (fscanf(said, "%d", &port) != 1)
        fail_msg("python3 tests/http_server.py did not start");
    fclose(said);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", port);
}

void http_stop(http_server *server)
{
    close(server->input);
    waitpid(server->process, NULL, 0);
}

int http_count(const http_server *server, const char *text)
{
    char line[4096];
    int count = 0;
    FILE *log = fopen(server->log, "r");
    if (!log)
        return 0;
    while (fgets(line, sizeof line, log))
        count += strstr(line, text) != NULL;
    fclose(log);
    return count;
}

// rollcall-principals: makes accounts, users and keys in the principals file, and checks it.
#include "services/gateway/principals/commands.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct options options;
    struct error err = {0};
    struct buf text cleanup(buf_done) = BUF_INIT;
    int rc = options_read(&options, argc, argv, &text, &err);
    if (rc < 0) {
        (void)fprintf(stderr, "rollcall-principals: %s; --help says more\n", err.text);
        return 2;
    }
    if (rc == 0)
        rc = command_run(&options, environ, &text, &err);
    if (rc < 0) {
        (void)fprintf(stderr, "rollcall-principals: %s\n", err.text);
        return 1;
    }
    (void)fwrite(text.p, 1, text.n, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

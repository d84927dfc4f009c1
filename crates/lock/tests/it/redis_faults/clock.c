/* Preloaded into a server, it shifts the time of day by as many seconds as stand in the file that JAEGO_CLOCK names. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift_s(void) {
    char text[32] = {0};
    int file = open(getenv("JAEGO_CLOCK"), O_RDONLY);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0) abort();
    close(file);
    return atol(text);
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec + shift_s();
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

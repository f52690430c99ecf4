/* A load of many SSE readers in one thread: opens connections, reads as fast as it can, and believes nothing.
 *
 *   load HOST PORT CONNECTIONS IN_FLIGHT TIMEOUT_S UNTIL < paths
 *
 * `paths` has one request target a line; the connections take them in turn. Each event's data must carry `"n":<number>`
 * and may carry `"t":<CLOCK_MONOTONIC in ns>`, the moment at which it was made. On every connection the first `n` may be
 * anything and each later one must be one more: less is a duplicate, more is a gap, and either fails the run (exit 1).
 * A frame without `"n":` (a heartbeat, a control frame, `session.created`) is counted and otherwise ignored.
 *
 * A gateway that can't serve a stream now says so with a 200 that has a length and ends (a browser gives up for ever on
 * anything else): that is no stream, and counts as refused, as any other status does.
 *
 * Prints two lines of JSON: `{"ready":…}` once every connection has its response's head, and the result once every
 * connection has seen UNTIL, or TIMEOUT_S is over. SIGTERM ends it early, with a result.
 *
 * One thread and epoll suffice: 300,000 deliveries of 200 bytes are 60 MB/s, which one core parses many times over;
 * `cpu_s` in the result tells whether that still holds. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_BYTES = 1 << 18,   /* one read: what a backlog of a thousand events takes, in one call */
    LINE_MAX_BYTES = 1 << 16, /* a line longer than this is no event of a benchmark */
    EVENTS_A_WAIT = 512,
    SUB = 64, /* histogram: 64 steps from each power of two to the next, so 1.6 % wide at most */
    BUCKETS = SUB * 40,
};

typedef enum { CONNECTING, HEAD, BODY, ENDED } Stage;
typedef enum { SIZE, SIZE_LF, CHUNK, CHUNK_CR, CHUNK_LF } Part;

typedef struct {
    int fd;
    Stage stage;
    Part part;
    bool chunked, has_length, done;
    uint64_t left;  /* bytes left in this chunk */
    int64_t last;   /* last n, -1 before the first */
    char *kept;     /* the start of a line whose end has not come */
    uint32_t kept_bytes;
    uint32_t path;
    char head[4]; /* the last bytes of the head, to find its end */
    uint8_t status_at;
    char status[4];
} Connection;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t buckets[BUCKETS], delivered, timed, gaps, duplicates, other_frames, ended_early, refused, bytes;
static uint64_t slowest_ns;
static uint64_t read_ns; /* when what is looked at was read; 0 until somebody asks */
static int64_t until;
static uint32_t complete, answered;
static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

/* Latencies in µs, below SUB exactly, above in SUB steps per power of two. */
static uint32_t bucket_of(uint64_t us) {
    if (us < SUB) return (uint32_t)us;
    int power = 63 - __builtin_clzll(us) - 6; /* 64 <= us >> power < 128 */
    uint64_t at = (uint64_t)SUB * (uint64_t)(power + 1) + ((us >> power) - SUB);
    return at < BUCKETS ? (uint32_t)at : BUCKETS - 1;
}

static uint64_t bucket_us(uint32_t at) {
    if (at < SUB) return at;
    uint32_t power = at / SUB - 1;
    return (uint64_t)(SUB + at % SUB) << power;
}

static double quantile_ms(double q) {
    uint64_t seen = 0, wanted = (uint64_t)(q * (double)timed);
    for (uint32_t at = 0; at < BUCKETS; at++) {
        seen += buckets[at];
        if (seen > wanted) return (double)bucket_us(at) / 1000.0;
    }
    return (double)slowest_ns / 1e6;
}

/* The number behind `"key":`, or -1. Data is one line of JSON without spaces behind colons, or with one. Where the key
 * was in the last line it mostly is in this one: looking for it anew would cost more than all else that is done here. */
static int64_t number(const char *line, size_t size, const char *key, size_t key_size, size_t *last) {
    const char *at = line + *last;
    if (*last + key_size > size || memcmp(at, key, key_size) != 0) {
        at = memmem(line, size, key, key_size);
        if (!at) return -1;
        *last = (size_t)(at - line);
    }
    at += key_size;
    const char *end = line + size;
    while (at < end && *at == ' ') at++;
    int64_t value = 0;
    if (at == end || *at < '0' || *at > '9') return -1;
    for (; at < end && *at >= '0' && *at <= '9'; at++) value = value * 10 + (*at - '0');
    return value;
}

static void take_line(Connection *c, const char *line, size_t size) {
    if (size < 5 || memcmp(line, "data:", 5) != 0) return;
    static size_t n_at, t_at;
    int64_t n = number(line, size, "\"n\":", 4, &n_at);
    if (n < 0) {
        other_frames++;
        return;
    }
    if (c->last >= 0 && n != c->last + 1) {
        if (n <= c->last) duplicates++;
        else gaps++;
    }
    if (n > c->last) c->last = n;
    delivered++;
    int64_t made = number(line, size, "\"t\":", 4, &t_at);
    if (made > 0) {
        if (!read_ns) read_ns = now_ns();
        uint64_t took = read_ns - (uint64_t)made;
        if (took > slowest_ns) slowest_ns = took;
        buckets[bucket_of(took / 1000)]++;
        timed++;
    }
    if (!c->done && c->last >= until) {
        c->done = true;
        complete++;
    }
}

static void take_text(Connection *c, const char *at, size_t size) {
    const char *end = at + size;
    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        size_t part = (size_t)((lf ? lf : end) - at);
        if (c->kept || !lf) {
            if (c->kept_bytes + part > LINE_MAX_BYTES) {
                fprintf(stderr, "load: a line of more than %d bytes\n", LINE_MAX_BYTES);
                exit(2);
            }
            c->kept = realloc(c->kept, c->kept_bytes + part + 1);
            if (!c->kept) exit(2);
            memcpy(c->kept + c->kept_bytes, at, part);
            c->kept_bytes += (uint32_t)part;
            if (!lf) return;
            take_line(c, c->kept, c->kept_bytes);
            free(c->kept);
            c->kept = NULL;
            c->kept_bytes = 0;
        } else {
            take_line(c, at, part);
        }
        at = lf + 1;
    }
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns false at the end of the response. */
static bool take_body(Connection *c, const char *at, size_t size) {
    if (!c->chunked) {
        take_text(c, at, size);
        return true;
    }
    const char *end = at + size;
    while (at < end) {
        switch (c->part) {
        case SIZE:
            if (*at == '\r') c->part = SIZE_LF;
            else if (hex(*at) >= 0) c->left = c->left * 16 + (uint64_t)hex(*at);
            at++;
            break;
        case SIZE_LF:
            at++;
            if (c->left == 0) return false;
            c->part = CHUNK;
            break;
        case CHUNK: {
            size_t here = (size_t)(end - at) < c->left ? (size_t)(end - at) : (size_t)c->left;
            take_text(c, at, here);
            at += here;
            c->left -= here;
            if (c->left == 0) c->part = CHUNK_CR;
            break;
        }
        case CHUNK_CR: at++; c->part = CHUNK_LF; break;
        case CHUNK_LF: at++; c->part = SIZE; break;
        }
    }
    return true;
}

/* Looks for the end of the head; returns how much of what came belongs to it. The head of a response is small and
 * comes in one piece but for bad luck, which is why only its last bytes are remembered between reads. */
static size_t take_head(Connection *c, const char *at, size_t size) {
    if (memmem(at, size, "chunked", 7)) c->chunked = true;
    if (memmem(at, size, "ontent-length:", 14) || memmem(at, size, "ontent-Length:", 14)) c->has_length = true;
    for (size_t i = 0; i < size; i++) {
        if (c->status_at < 12) {
            if (c->status_at >= 9) c->status[c->status_at - 9] = at[i];
            c->status_at++;
        }
        memmove(c->head, c->head + 1, 3);
        c->head[3] = at[i];
        if (memcmp(c->head, "\r\n\r\n", 4) == 0) {
            c->stage = BODY;
            answered++;
            if (memcmp(c->status, "200", 3) != 0 || c->has_length) refused++;
            return i + 1;
        }
    }
    return size;
}

static bool open_one(Connection *c, int poll, const struct sockaddr_in *to, uint32_t index) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) return false;
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS) return false;
    struct epoll_event want = {.events = EPOLLOUT, .data.u32 = index};
    return epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &want) == 0;
}

static bool ask(Connection *c, int poll, const char *host, const char *path, uint32_t index) {
    char request[1024];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", path, host);
    if (size <= 0 || (size_t)size >= sizeof request) return false;
    if (send(c->fd, request, (size_t)size, MSG_NOSIGNAL) != size) return false;
    c->stage = HEAD;
    struct epoll_event want = {.events = EPOLLIN, .data.u32 = index};
    return epoll_ctl(poll, EPOLL_CTL_MOD, c->fd, &want) == 0;
}

static char **read_paths(uint32_t *count) {
    char **paths = NULL, *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, stdin)) > 0) {
        if (line[size - 1] == '\n') line[--size] = 0;
        if (size == 0) continue;
        paths = realloc(paths, (*count + 1) * sizeof *paths);
        if (!paths) exit(2);
        paths[(*count)++] = strdup(line);
    }
    free(line);
    return paths;
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: load HOST PORT CONNECTIONS IN_FLIGHT TIMEOUT_S UNTIL < paths\n");
        return 2;
    }
    const char *host = argv[1];
    uint32_t total = (uint32_t)atoi(argv[3]), in_flight = (uint32_t)atoi(argv[4]), count = 0;
    uint64_t deadline = now_ns() + (uint64_t)(atof(argv[5]) * 1e9);
    until = atoll(argv[6]);
    char **paths = read_paths(&count);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    if (count == 0 || total == 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1) {
        fprintf(stderr, "load: needs paths, connections and a numeric address\n");
        return 2;
    }
    signal(SIGTERM, stop);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    Connection *all = calloc(total, sizeof *all);
    char *buffer = malloc(READ_BYTES);
    int poll = epoll_create1(0);
    if (!all || !buffer || poll < 0) return 2;
    uint32_t opened = 0, ready_told = 0;
    uint64_t begun = now_ns(), all_answered = 0;
    struct epoll_event news[EVENTS_A_WAIT];
    while (!stopped && complete < total && now_ns() < deadline) {
        while (opened < total && opened - answered - ended_early < in_flight) {
            all[opened].last = -1;
            all[opened].path = opened % count;
            if (!open_one(&all[opened], poll, &to, opened)) {
                perror("load: connect");
                return 2;
            }
            opened++;
        }
        int got = epoll_wait(poll, news, EVENTS_A_WAIT, 100);
        for (int i = 0; i < got; i++) {
            Connection *c = &all[news[i].data.u32];
            if (c->stage == CONNECTING) {
                if (!ask(c, poll, host, paths[c->path], news[i].data.u32)) {
                    perror("load: ask");
                    return 2;
                }
                continue;
            }
            ssize_t size = recv(c->fd, buffer, READ_BYTES, 0);
            read_ns = 0;
            if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            bool open = size > 0;
            if (open) {
                bytes += (uint64_t)size;
                size_t used = c->stage == HEAD ? take_head(c, buffer, (size_t)size) : 0;
                if (c->stage == BODY) open = take_body(c, buffer + used, (size_t)size - used);
            }
            if (!open) {
                if (c->stage == HEAD) refused++, answered++;
                else if (!c->done) ended_early++;
                c->stage = ENDED;
                epoll_ctl(poll, EPOLL_CTL_DEL, c->fd, NULL);
                close(c->fd);
            }
        }
        if (!ready_told && answered == total) {
            all_answered = now_ns();
            ready_told = 1;
            printf("{\"ready\":%u,\"accept_s\":%.6f}\n", total, (double)(all_answered - begun) / 1e9);
            fflush(stdout);
        }
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    bool good = gaps == 0 && duplicates == 0 && ended_early == 0 && refused == 0 && complete == total;
    printf("{\"good\":%s,\"connections\":%u,\"complete\":%u,\"delivered\":%lu,\"gaps\":%lu,\"duplicates\":%lu,"
           "\"ended_early\":%lu,\"refused\":%lu,\"other_frames\":%lu,\"bytes\":%lu,\"elapsed_s\":%.6f,\"cpu_s\":%.3f,"
           "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
           good ? "true" : "false", total, complete, delivered, gaps, duplicates, ended_early, refused, other_frames,
           bytes, (double)(now_ns() - begun) / 1e9, cpu, timed ? quantile_ms(0.5) : 0.0, timed ? quantile_ms(0.99) : 0.0,
           (double)slowest_ns / 1e6);
    return good ? 0 : 1;
}

/* Counts what a program allocates, whatever it is written in: preloaded (LD_PRELOAD), it keeps three 64-bit numbers in the
 * file named by BENCH_ALLOCATIONS: allocations so far, bytes asked for so far, bytes in use now. glibc only. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static struct counts {
    atomic_int_fast64_t allocations, bytes, in_use;
} before_start, *counts = &before_start;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("BENCH_ALLOCATIONS");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof before_start, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page == MAP_FAILED) return;
    struct counts *shared = page;
    shared->allocations = before_start.allocations;
    shared->bytes = before_start.bytes;
    shared->in_use = before_start.in_use;
    counts = shared;
}

static void *counted(void *made, size_t asked) {
    if (made) {
        atomic_fetch_add_explicit(&counts->allocations, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&counts->bytes, asked, memory_order_relaxed);
        atomic_fetch_add_explicit(&counts->in_use, malloc_usable_size(made), memory_order_relaxed);
    }
    return made;
}

static void gone(void *old) {
    if (old) atomic_fetch_sub_explicit(&counts->in_use, malloc_usable_size(old), memory_order_relaxed);
}

void *malloc(size_t size) { return counted(__libc_malloc(size), size); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size), count * size); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size), size); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **made, size_t alignment, size_t size) {
    *made = memalign(alignment, size);
    return *made ? 0 : ENOMEM;
}

void *realloc(void *old, size_t size) {
    size_t used = old ? malloc_usable_size(old) : 0;
    void *made = __libc_realloc(old, size);
    if (made || size == 0) atomic_fetch_sub_explicit(&counts->in_use, used, memory_order_relaxed);
    return counted(made, size);
}

void free(void *old) {
    gone(old);
    __libc_free(old);
}

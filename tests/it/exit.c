/* Preloaded, it shows whether a process ran its exit handlers: then it does not end by its exit code. */
#include <stdlib.h>

static __attribute__((destructor)) void handler(void) { abort(); }

/* embedded: the files that the build embeds: a small model, a toy, and the official chat template. */
#ifndef PUMICE_APP_EMBEDDED_H
#define PUMICE_APP_EMBEDDED_H

#include <stddef.h>

/* The bytes of app/starter.gguf; they live as long as the program. */
void starter_get(const void **data, size_t *bytes);
/* Those of app/official.jinja; no NUL at the end. */
void official_get(const void **data, size_t *bytes);

#endif

/* shared: how much shared memory a compiled kernel takes, read from its SPIR-V.
 *
 * The sizes of shared arrays depend on specialization constants, so that only the code itself, with their values, can say.
 * Pure. Drivers need not refuse what is too large: some crash, or compute wrong. */
#ifndef PUMICE_SHARED_H
#define PUMICE_SHARED_H

#include "../base.h"

/* Bytes of all variables in shared (Workgroup) memory, with spec[i] for specialization constant i and the defaults for
 * others. words[n_words]: a module. False when it is no SPIR-V, when a size uses an instruction not known here, or memory ran
 * out: then *bytes is 0. Source: SPIR-V 1.6, 3.49 (instructions) and 3.20 (SpecId). */
bool shared_bytes_of(const uint32_t *words, size_t n_words, const uint32_t *spec, uint32_t n_spec, uint64_t *bytes);

#endif

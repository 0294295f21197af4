/* queue: the one compute queue and its timeline semaphore: submit command buffers, wait for a value.
 *
 * Values grow by one a submission; waiting for 0 is always done. After VK_ERROR_DEVICE_LOST every call fails. */
#ifndef PUMICE_QUEUE_H
#define PUMICE_QUEUE_H

#include "device.h"

enum pumice_status queue_init(struct device *d);
void queue_fini(struct device *d); /* waits until the device is idle */
enum pumice_status queue_submit(struct device *d, uint32_t n, const VkCommandBuffer *commands, uint64_t *value);
enum pumice_status queue_wait(struct device *d, uint64_t value);

#endif

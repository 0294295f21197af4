/* queue: see queue.h. */
#include "queue.h"

#include "pace.h"

enum pumice_status queue_init(struct device *d)
{
    enum pumice_status st = PUMICE_OK;
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    d->pace = pace_first(d->physical.info.kind);
    VK_TRY(d->vk.CreateSemaphore(d->handle, &info, NULL, &d->timeline));
fail:
    return st;
}

void queue_fini(struct device *d)
{
    if (!d->handle) return;
    if (d->vk.DeviceWaitIdle) (void)d->vk.DeviceWaitIdle(d->handle); /* a lost device says so; nothing else to do */
    if (d->timeline) d->vk.DestroySemaphore(d->handle, d->timeline, NULL);
    d->timeline = VK_NULL_HANDLE;
}

/* A call failed, but what was submitted before may still run, also where a driver said that the device is lost; whoever frees plans
 * and buffers now must not meet it. A device that is really lost returns at once. */
static enum pumice_status queue_failed(struct device *d, VkResult result, const char *call)
{
    d->lost |= result == VK_ERROR_DEVICE_LOST;
    (void)d->vk.DeviceWaitIdle(d->handle);
    return vk_fail(result, call);
}

enum pumice_status queue_submit(struct device *d, uint32_t n, const VkCommandBuffer *commands, uint64_t *value)
{
    enum pumice_status st = PUMICE_OK;
    TRY(device_check(d));
    const uint64_t next = d->timeline_value + 1;
    const VkTimelineSemaphoreSubmitInfo timeline = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                                    .signalSemaphoreValueCount = 1, .pSignalSemaphoreValues = &next};
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .pNext = &timeline, .commandBufferCount = n,
                                 .pCommandBuffers = commands, .signalSemaphoreCount = 1,
                                 .pSignalSemaphores = &d->timeline};
    const uint64_t span = pumice_trace_begin();
    const VkResult result = d->vk.QueueSubmit(d->queue, 1, &submit, VK_NULL_HANDLE);
    pumice_trace_end("submit", span);
    if (result < 0) return queue_failed(d, result, "vk.QueueSubmit");
    *value = d->timeline_value = next;
fail:
    return st;
}

enum pumice_status queue_wait(struct device *d, uint64_t value)
{
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, .semaphoreCount = 1,
                                      .pSemaphores = &d->timeline, .pValues = &value};
    if (value == 0) return PUMICE_OK;
    const uint64_t span = pumice_trace_begin();
    const VkResult result = d->lost ? VK_ERROR_DEVICE_LOST : d->vk.WaitSemaphores(d->handle, &info, UINT64_MAX);
    pumice_trace_end("wait", span);
    if (result < 0) return queue_failed(d, result, "vk.WaitSemaphores");
    return device_check(d);
}

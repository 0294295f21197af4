/* vk: the Vulkan entry points pumice calls, in one table a device.
 *
 * Nothing links against the loader: it is opened at run time, so that the program starts on machines without
 * Vulkan. Tests may replace entries of the table to simulate failures and smaller devices. */
#ifndef PUMICE_VK_H
#define PUMICE_VK_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include "../base.h"

/* Headers before 1.3.255 lack these; values and layouts from the registry. */
#ifndef VK_KHR_cooperative_matrix
#define VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME "VK_KHR_cooperative_matrix"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR ((VkStructureType)1000506000)
#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR ((VkStructureType)1000506001)
typedef enum VkComponentTypeKHR { VK_COMPONENT_TYPE_FLOAT16_KHR = 0, VK_COMPONENT_TYPE_FLOAT32_KHR = 1 } VkComponentTypeKHR;
typedef enum VkScopeKHR { VK_SCOPE_SUBGROUP_KHR = 3 } VkScopeKHR;
typedef struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix, cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;
typedef struct VkCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    VkComponentTypeKHR AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    VkScopeKHR scope;
} VkCooperativeMatrixPropertiesKHR;
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(VkPhysicalDevice, uint32_t *,
                                                                                   VkCooperativeMatrixPropertiesKHR *);
#endif

#define VK_INSTANCE_CALLS(X)                                                                                 \
    X(DestroyInstance) X(EnumeratePhysicalDevices) X(GetPhysicalDeviceProperties)                            \
    X(GetPhysicalDeviceProperties2) X(GetPhysicalDeviceFeatures2) X(GetPhysicalDeviceMemoryProperties)       \
    X(GetPhysicalDeviceMemoryProperties2) X(GetPhysicalDeviceQueueFamilyProperties) X(EnumerateDeviceExtensionProperties) X(CreateDevice)          \
    X(GetDeviceProcAddr)

#define VK_DEVICE_CALLS(X)                                                                                   \
    X(DestroyDevice) X(GetDeviceQueue) X(DeviceWaitIdle) X(AllocateMemory) X(FreeMemory) X(MapMemory)        \
    X(CreateBuffer) X(DestroyBuffer) X(BindBufferMemory) X(GetBufferMemoryRequirements)                      \
    X(GetBufferDeviceAddress) X(CreateShaderModule) X(DestroyShaderModule) X(CreateDescriptorSetLayout)      \
    X(DestroyDescriptorSetLayout) X(CreateDescriptorPool) X(DestroyDescriptorPool) X(AllocateDescriptorSets) \
    X(UpdateDescriptorSets) X(CreatePipelineLayout) X(DestroyPipelineLayout) X(CreateComputePipelines)       \
    X(DestroyPipeline) X(CreatePipelineCache) X(DestroyPipelineCache) X(GetPipelineCacheData)                \
    X(CreateCommandPool) X(DestroyCommandPool) X(AllocateCommandBuffers) \
    X(BeginCommandBuffer) X(EndCommandBuffer) X(CmdBindPipeline) X(CmdBindDescriptorSets)                    \
    X(CmdPushConstants) X(CmdDispatch) X(CmdPipelineBarrier) X(CmdCopyBuffer) X(CmdResetQueryPool)           \
    X(CmdWriteTimestamp) X(CreateQueryPool) X(DestroyQueryPool) X(GetQueryPoolResults) X(QueueSubmit)        \
    X(CreateSemaphore) X(DestroySemaphore) X(WaitSemaphores)

/* Of extensions that devices may have; may be NULL. */
#define VK_INSTANCE_EXTRA_CALLS(X) X(GetPhysicalDeviceCooperativeMatrixPropertiesKHR)

/* Present only with VK_EXT_debug_utils (validation or debug builds); may be NULL. */
#define VK_DEBUG_CALLS(X) X(SetDebugUtilsObjectNameEXT) X(CmdBeginDebugUtilsLabelEXT) X(CmdEndDebugUtilsLabelEXT)

/* Present only with VK_EXT_calibrated_timestamps; may be NULL. */
#define VK_CLOCK_CALLS(X) X(GetCalibratedTimestampsEXT)

#define VK_DECLARE(name) PFN_vk##name name;
struct vk_instance_calls {
    VK_INSTANCE_CALLS(VK_DECLARE)
    VK_INSTANCE_EXTRA_CALLS(VK_DECLARE)
};
struct vk_device_calls {
    VK_DEVICE_CALLS(VK_DECLARE)
    VK_DEBUG_CALLS(VK_DECLARE)
    VK_CLOCK_CALLS(VK_DECLARE)
};
#undef VK_DECLARE

/* Sets the error text for a failed call and maps the result: out of memory -> MEMORY, else DEVICE. */
enum pumice_status vk_fail(VkResult result, const char *call);
const char *vk_result_name(VkResult result);

/* Needs a local `enum pumice_status st` and a label `fail`. */
#define VK_TRY(call)                                                                                         \
    do {                                                                                                     \
        VkResult vk_result_ = (call);                                                                        \
        if (vk_result_ < 0) {                                                                                \
            st = vk_fail(vk_result_, #call);                                                                 \
            goto fail;                                                                                       \
        }                                                                                                    \
    } while (0)

#endif

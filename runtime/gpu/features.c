/* features: see features.h. */
#include "features.h"

#include <stdio.h>
#include <string.h>

enum { VENDOR_INTEL = 0x8086, GUESS_DISCRETE = 32, GUESS_OTHER = 8 };

void extensions_read(const struct vk_instance_calls *vk, VkPhysicalDevice handle, struct extension_list *out)
{
    *out = (struct extension_list){0};
    uint32_t n = 0;
    if (vk->EnumerateDeviceExtensionProperties(handle, NULL, &n, NULL) < 0 || n == 0) return;
    out->list = mem_calloc(n, sizeof *out->list);
    if (out->list && vk->EnumerateDeviceExtensionProperties(handle, NULL, &n, out->list) >= 0) out->n = n;
}

void extensions_free(struct extension_list *e)
{
    mem_free(e->list);
    *e = (struct extension_list){0};
}

bool extensions_have(const struct extension_list *e, const char *name)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (strcmp(e->list[i].extensionName, name) == 0) return true;
    return false;
}

/* The largest shape that the tiles of matmul_matrix.comp are whole multiples of. */
static void find_matrix(const struct vk_instance_calls *vk, VkPhysicalDevice handle, struct device_features *f)
{
    uint32_t n = 0;
    if (!vk->GetPhysicalDeviceCooperativeMatrixPropertiesKHR ||
        vk->GetPhysicalDeviceCooperativeMatrixPropertiesKHR(handle, &n, NULL) < 0 || n == 0)
        return;
    VkCooperativeMatrixPropertiesKHR *list = mem_calloc(n, sizeof *list);
    if (!list) return;
    for (uint32_t i = 0; i < n; i++) list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (vk->GetPhysicalDeviceCooperativeMatrixPropertiesKHR(handle, &n, list) < 0) n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const VkCooperativeMatrixPropertiesKHR *p = &list[i];
        const bool types = p->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && p->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
                           p->CType == VK_COMPONENT_TYPE_FLOAT32_KHR && p->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR;
        const bool divides = p->MSize >= 4 && p->NSize && p->KSize >= 8 && 16 % p->MSize == 0 && 32 % p->NSize == 0 && 32 % p->KSize == 0;
        if (!types || !divides || p->scope != VK_SCOPE_SUBGROUP_KHR || p->saturatingAccumulation ||
            p->MSize * p->NSize * p->KSize <= f->matrix.m * f->matrix.n * f->matrix.k)
            continue;
        f->matrix.m = p->MSize;
        f->matrix.n = p->NSize;
        f->matrix.k = p->KSize;
    }
    mem_free(list);
}

static uint32_t count_cores(const struct vk_instance_calls *vk, VkPhysicalDevice handle, const struct extension_list *extensions,
                            VkPhysicalDeviceType type)
{
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
    VkPhysicalDeviceShaderCoreProperties2AMD amd = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD};
    VkPhysicalDeviceProperties2 p2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    if (extensions_have(extensions, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME)) p2.pNext = &nv;
    else if (extensions_have(extensions, VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME)) p2.pNext = &amd;
    if (p2.pNext) vk->GetPhysicalDeviceProperties2(handle, &p2);
    const uint32_t said = nv.shaderSMCount + amd.activeComputeUnitCount;
    return said ? said : type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU ? GUESS_DISCRETE : GUESS_OTHER;
}

void features_find(const struct vk_instance_calls *vk, VkPhysicalDevice handle, const struct extension_list *extensions,
                   const VkPhysicalDeviceProperties *properties, struct device_features *f)
{
    const bool v13 = properties->apiVersion >= VK_API_VERSION_1_3;
    const bool may_dot = v13 || extensions_have(extensions, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    const bool may_pin = v13 || extensions_have(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    const bool may_matrix = extensions_have(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    VkPhysicalDeviceSubgroupSizeControlFeatures control = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
                                                           .pNext = may_matrix ? &matrix : NULL};
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
                                                           .pNext = may_pin ? (void *)&control : control.pNext};
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .pNext = may_dot ? (void *)&dot : dot.pNext};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v12};
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceShaderIntegerDotProductProperties dots = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES,
                                                              .pNext = may_pin ? &sizes : NULL};
    VkPhysicalDeviceVulkan11Properties v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
                                              .pNext = may_dot ? (void *)&dots : dots.pNext};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &v11};
    vk->GetPhysicalDeviceFeatures2(handle, &features);
    vk->GetPhysicalDeviceProperties2(handle, &all);

    *f = (struct device_features){.half = v12.shaderFloat16 == VK_TRUE, .dot = dot.shaderIntegerDotProduct == VK_TRUE};
    f->dot_accelerated = f->dot && dots.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;
    f->n_cores = count_cores(vk, handle, extensions, properties->deviceType);
    if (control.subgroupSizeControl && control.computeFullSubgroups && (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT))
        f->subgroup_pinned = properties->vendorID == VENDOR_INTEL ? sizes.minSubgroupSize : v11.subgroupSize; /* Intel: its matrix units' */
    if (matrix.cooperativeMatrix && f->half && v12.vulkanMemoryModel && f->subgroup_pinned) find_matrix(vk, handle, f);
}

void features_text(const struct device_features *f, char *out, size_t bytes)
{
    char matrix[64] = "";
    if (f->matrix.m)
        snprintf(matrix, sizeof matrix, "cooperative matrices %ux%ux%u", f->matrix.m, f->matrix.n, f->matrix.k);
    snprintf(out, bytes, "%s%s%s%s%s", f->half ? "16-bit floats" : "", f->half && (f->dot || matrix[0]) ? ", " : "",
             f->dot_accelerated ? "8-bit dot products (accelerated)" : f->dot ? "8-bit dot products" : "",
             f->dot && matrix[0] ? ", " : "", matrix);
}

static void add(const char *name, const struct extension_list *have, const char **extensions, uint32_t *n)
{
    if (extensions_have(have, name)) extensions[(*n)++] = name;
}

void features_enable(const struct device_features *f, const struct extension_list *have, struct feature_chain *chain,
                     const char **extensions, uint32_t *n_extensions)
{
    void *next = NULL;
    memset(chain, 0, sizeof *chain);
    chain->v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    chain->v12.shaderFloat16 = f->half;
    if (f->dot) {
        chain->dot = (VkPhysicalDeviceShaderIntegerDotProductFeatures){
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, .pNext = next, .shaderIntegerDotProduct = VK_TRUE};
        next = &chain->dot;
        add(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, have, extensions, n_extensions); /* core in 1.3 */
    }
    if (f->matrix.m) {
        chain->size_control = (VkPhysicalDeviceSubgroupSizeControlFeatures){
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, .pNext = next, .subgroupSizeControl = VK_TRUE,
            .computeFullSubgroups = VK_TRUE};
        chain->matrix = (VkPhysicalDeviceCooperativeMatrixFeaturesKHR){
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .pNext = &chain->size_control,
            .cooperativeMatrix = VK_TRUE};
        next = &chain->matrix;
        chain->v12.vulkanMemoryModel = VK_TRUE;
        add(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, have, extensions, n_extensions); /* core in 1.3 */
        add(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, have, extensions, n_extensions);
    }
    chain->v12.pNext = next;
}

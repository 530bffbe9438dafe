#include "gpu/host.h"

#define PAGE 4096u

sm_err sm_gpu_host_init(struct sm_gpu_host *h, struct sm_gpu_queue *q, cl_context context, cl_map_flags access,
                        size_t bytes, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    *h = (struct sm_gpu_host){0};
    h->mem = q->cl->CreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes + PAGE, NULL, &rc);
    if (h->mem && rc == CL_SUCCESS)
        h->mapped = q->cl->EnqueueMapBuffer(q->q, h->mem, CL_TRUE, access, 0, bytes + PAGE, 0, NULL, NULL, &rc);
    if (!h->mapped || rc != CL_SUCCESS) {
        h->mapped = NULL;
        sm_gpu_host_fini(h, q);
        return sm_cl_fail(ei, rc, "pinning %zu bytes for %s", bytes, q->device);
    }
    h->at = (uint8_t *)h->mapped + (PAGE - (uintptr_t)h->mapped % PAGE) % PAGE;
    return SM_OK;
}

void sm_gpu_host_fini(struct sm_gpu_host *h, struct sm_gpu_queue *q)
{
    if (h->mapped && q->cl->EnqueueUnmapMemObject(q->q, h->mem, h->mapped, 0, NULL, NULL) == CL_SUCCESS)
        (void)q->cl->Finish(q->q);
    if (h->mem) (void)q->cl->ReleaseMemObject(h->mem);
    *h = (struct sm_gpu_host){0};
}

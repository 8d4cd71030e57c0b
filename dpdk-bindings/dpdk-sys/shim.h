/* Callable forms of what DPDK defines inline. Called once per burst or less, never per packet. */
#ifndef DPDK_SYS_SHIM_H
#define DPDK_SYS_SHIM_H

#include <stddef.h>
#include <stdint.h>

struct rte_lpm;
struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

/* Receives one message of DPDK's log; `level` is an RTE_LOG_ level, 1 (emergency) to 8 (debug). */
typedef void (*shim_log_sink)(int level, const char *text, size_t length);

int shim_errno(void);
int shim_log_to(shim_log_sink sink);
unsigned int shim_lcore_id(void);

int shim_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **into, unsigned int count);
void shim_pktmbuf_free(struct rte_mbuf *packet);
int shim_pktmbuf_chain(struct rte_mbuf *head, struct rte_mbuf *tail);
uint16_t shim_pktmbuf_data_room(struct rte_mempool *pool);

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **into, uint16_t count);
uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **from, uint16_t count);

int shim_ring_enqueue(struct rte_ring *ring, void *object);
int shim_ring_dequeue(struct rte_ring *ring, void **object);

int shim_lpm_lookup_bulk(const struct rte_lpm *lpm, const uint32_t *addresses, uint32_t *next_hops, unsigned int count);

#endif

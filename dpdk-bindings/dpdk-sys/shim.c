#define _GNU_SOURCE
#include <stdio.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_lpm.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "shim.h"

int shim_errno(void) { return rte_errno; }

unsigned int shim_lcore_id(void) { return rte_lcore_id(); }

static shim_log_sink log_sink;

static ssize_t log_write(void *cookie, const char *text, size_t length)
{
	(void)cookie;
	log_sink(rte_log_cur_msg_loglevel(), text, length);
	return (ssize_t)length;
}

/* Sends all of DPDK's log to `sink`, from whichever thread writes it. Called once, before rte_eal_init. */
int shim_log_to(shim_log_sink sink)
{
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = log_write });

	if (stream == NULL)
		return -1;
	log_sink = sink;
	return rte_openlog_stream(stream);
}

int shim_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **into, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, into, count);
}

void shim_pktmbuf_free(struct rte_mbuf *packet) { rte_pktmbuf_free(packet); }

int shim_pktmbuf_chain(struct rte_mbuf *head, struct rte_mbuf *tail) { return rte_pktmbuf_chain(head, tail); }

uint16_t shim_pktmbuf_data_room(struct rte_mempool *pool) { return rte_pktmbuf_data_room_size(pool); }

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **into, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, into, count);
}

uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **from, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, from, count);
}

int shim_ring_enqueue(struct rte_ring *ring, void *object) { return rte_ring_enqueue(ring, object); }

int shim_ring_dequeue(struct rte_ring *ring, void **object) { return rte_ring_dequeue(ring, object); }

int shim_lpm_lookup_bulk(const struct rte_lpm *lpm, const uint32_t *addresses, uint32_t *next_hops, unsigned int count)
{
	return rte_lpm_lookup_bulk_func(lpm, addresses, next_hops, count);
}

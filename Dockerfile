# The runtime image of vnf: the two programs and the DPDK libraries they load, no toolchain.
#   docker build -t vnf .        or, with docker, podman or buildah:  scripts/container build
ARG BASE=debian:12-slim

FROM ${BASE} AS builder
LABEL org.opencontainers.image.title=vnf
ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup CARGO_TERM_COLOR=never \
    PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates clang curl gcc libc6-dev libclang-dev libdpdk-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
# Debian's rustc is too old; scripts/container mounts the builder's own toolchain where it can.
RUN command -v cargo >/dev/null \
    || curl --proto =https -sSf https://sh.rustup.rs | sh -s -- -y --no-modify-path --profile minimal
WORKDIR /src
COPY . .
ARG PROFILE=release
ARG CARGO_FLAGS=--locked
RUN cargo build ${CARGO_FLAGS} --profile ${PROFILE} -p vnf -p pktgen \
    && mkdir -p /out && cp target/${PROFILE}/vnf target/${PROFILE}/pktgen /out/

FROM ${BASE}
LABEL org.opencontainers.image.title=vnf \
      org.opencontainers.image.description="Carrier-grade NAT, stateful firewall and router on DPDK" \
      org.opencontainers.image.licenses=Apache-2.0
# Drivers: the virtual devices, and the common network cards. Others are one package away (librte-net-*).
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        librte-acl23 librte-bus-pci23 librte-bus-vdev23 librte-eal23 librte-ethdev23 librte-fib23 librte-hash23 \
        librte-ip-frag23 librte-lpm23 librte-mempool-ring23 librte-rib23 \
        librte-net-af-packet23 librte-net-af-xdp23 librte-net-memif23 librte-net-null23 librte-net-pcap23 \
        librte-net-ring23 librte-net-tap23 librte-net-vhost23 librte-net-virtio23 \
        librte-net-bnxt23 librte-net-e1000-23 librte-net-ena23 librte-net-gve23 librte-net-i40e23 librte-net-iavf23 \
        librte-net-ice23 librte-net-igc23 librte-net-ixgbe23 librte-net-vmxnet3-23 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/* \
    && mkdir -p /etc/vnf /run/vnf /var/log/vnf
COPY --from=builder /out/vnf /out/pktgen /usr/local/bin/
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["vnf", "status"]
STOPSIGNAL SIGTERM
CMD ["vnf", "run", "-c", "/etc/vnf/vnf.toml"]

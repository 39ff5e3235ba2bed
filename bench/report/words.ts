/** What a reader must know to judge the figures, scenario by scenario. */

/** How everything was measured, and what that can't show. */
export const method: readonly string[] = [
  'Everything that relays (of a tunnel both relay and agent) is pinned to one core and the load (visitors and service) to another, for every contender alike, except in `scaling`.',
  'The contenders of a case take turns: round one of each, then round two of each, and so on. A figure is the median of the rounds, with the least and the greatest behind it. What disturbs the machine for a while then disturbs all.',
  'A verdict is the median of the ratios round by round, with 5 % tolerance on p99 and rates and none on CPU, memory and counts.',
  'CPU is the time that the relaying processes ran, all threads, in user and kernel mode, from `/proc/PID/task/TID/schedstat`. On loopback the kernel handles the receipt of a segment in the context of its sender, so part of the far end’s TCP work is charged to whoever sends, of every contender alike.',
  '“Core busy” is CPU time over time for the relaying processes: near 100 % the contender was the limit; well below, the load, the kernel or waiting was, and its rate says little about what it could do. CPU per GB and per round trip hold in both cases.',
  '`direct` is the load without any relay. It shows that the load programs are not the limit: where a contender comes near it, its rate is the load’s.',
  'Congestion control is the system’s for the load and for every other contender; the table above says which. Ours keeps it too, but for connections over loopback where it is BBR: those get Reno. BBR paces, with a timer for nearly every segment, by an estimate of a path that is this machine’s memory, and by that a relay on the same host as one of its ends (an agent always is, mostly) pays more for timers than for sending. Any relay could do so; none of the others has an option for it. What it makes of the figures is said with them, and in `mtu1500`, which is no loopback, all contenders have the same.',
]

/** What a loopback on two cores does not show. */
export const hidden: readonly string[] = [
  'There is no network card: no interrupts, no DMA, no receive coalescing. The MTU of loopback is 65 536, so the kernel works on segments of up to 64 KiB; `mtu1500` is the case for small ones.',
  'The round-trip time is a few microseconds and nothing is lost. Congestion control, buffers on long paths and head-of-line blocking in one shared connection (frp with tcpMux, chisel) cost nothing here and do elsewhere.',
  'Pacing has no purpose here. On a real path it spreads a flow over the round-trip time, and a sender without it depends on the queues on the way; ours paces there like everybody else, so its lead over contenders that pace here is a lead on loopback only.',
  'Copying is cheap while all data fits the processor’s caches. Memory bandwidth that many flows compete for is not measured.',
  'Latencies include the scheduling of two processes (three in a tunnel) on one core. They compare contenders; they predict nothing about a network.',
  'Each contender is limited to one core, and those with threads to one thread, so nothing here says how any of them scales over many cores.',
]

/** What is particular to a scenario. */
export const remarks: Readonly<Record<string, string>> = {
  bulk: 'The sink throws its bytes away in the kernel (`MSG_TRUNC`), so that it is not the limit. GB are 10⁹ bytes, counted once however many processes they pass.',
  echo: 'One message is under way on each connection. On one connection the rate is mostly the time of wake-ups; on 256 the relay’s core is the limit.',
  connect:
    'Each visit is a connection of its own through relay and agent, with 64 bytes there and back, and ends with a FIN that the tunnel has to carry. Tunnels with one shared connection open none between relay and agent; those with a reserve open it in advance.',
  'first-byte':
    'Cores that have nothing to do sleep, and every step to another thread or process wakes one: that, not work, is most of the time.',
  burst:
    'The load opens all connections in one loop, on its own core, which also has the service. A contender that serves fewer than all has failed.',
  http: 'autocannon keeps its 32 connections wherever the far end does; a relay that ends each after its answer, as ours does so far, pays for a connection with every request. It also sends a request into each connection that is about to end, so that its latencies mean nothing there and are left out. Where they are given they are whole milliseconds.',
  'proxy-connect':
    'Of each visitor ours tells JavaScript, which chooses where to dial; HAProxy and nginx are configured and decide in C.',
  idle: 'Resident memory is that of the relaying processes; the kernel’s socket buffers are in none of the figures. Garbage collectors of other projects were not forced.',
  'idle-tunnel':
    'A visitor who stays keeps its lane, so with lanes there are as many connections between relay and agent as without. Of a TLS lane OpenSSL’s session alone takes 14 KiB at the relay and 18 at the agent.',
  mixed:
    'Pings are sent at a fixed rate, whether answers come or not, by a process that the scheduler prefers. One bulk flow has no limit but the machine, or is paced to 2 Gbit/s by its sender.',
  handover:
    'What the library costs somebody who accepts sockets with Node: `accept-destroy` only accepts and destroys them.',
  mtu1500: 'The kernel’s work per packet dominates, and is the same for all.',
  'tls-tunnel': 'Ours and Go’s tunnels use AES-128-GCM here; rathole takes what OpenSSL prefers, AES-256-GCM.',
  'tls-bulk':
    'The load’s ends of TLS run on the engine’s own TLS code with the system’s OpenSSL, and accept AES-128-GCM only, so that all contenders use the same cipher. They decrypt, on one core for both ends: `direct` shows what they can do. CPU per GB compares; Gbit/s is often the load’s. `openssl` is two processes, sender and receiver summed, whose only work is TLS: a relay with TLS on one side does one half of it, and receives or sends without TLS on the other.',
  'tls-handshakes':
    'Certificates are not checked by the visitors, whose cost that would be. Node’s TLS, below `stream`, gives no new ticket with a resumed handshake, so every third visitor is without one.',
  'tls-mixed':
    'Hop and load have one core each: what the handshakes of visitors cost the load (the client’s half) competes with the newcomers, not with the pings, which the scheduler prefers.',
  'tls-storm':
    'The strangers shake hands and leave without a word, which the relay takes for scanners. The agents run on Node streams on the load’s core, before everything else there of ordinary priority, so that their own waiting is mostly not measured; with 800 to 2 000 answers in a round the worst of them is part of the figures.',
  heartbeats:
    '`stream` and `adaptive` are the relay as built on that data plane; its control code is the same. The agents’ CPU is not counted.',
  cold: 'Interpreters and dynamic libraries were in the page cache.',
  scaling: 'Load and relay share all cores: what one gains the other loses. There is no verdict on two cores.',
}

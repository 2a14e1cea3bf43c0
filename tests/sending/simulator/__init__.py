"""Two ends, one TCP connection, and other people's traffic, in simulated time.

The real parts: schedule, flow, course, ladder, jitter buffer, vitals, and every byte of the protocol. The models:
TCP (RACK, tail loss probes, timeouts, timestamps, delayed acknowledgements, cubic, a window as bbr has it beside a
long queue), the way of packets (rate, drop-tail queue, delay, jitter in order, losses single and in bursts,
darkness), a bulk transfer, microphone and loudspeaker.

    python -m tests.sending.simulator [LINE ...] [--phases 8] [--old-peer] [--kept-aside]
"""

"""The lab's kinds of faults, and which cause is right for each, with the reason: the one table that a run is held against."""

import dataclasses

UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, eq=False)
class Kind:
    """A kind of fault of tests/lab.

    `right`: the causes that a person who knows the fault would accept; `unknown` is among them only where no cause of
    the list is true. `verdict`: what the daemon notices of it (reading.NOTICED). `values`: its parameter, at random.
    """

    name: str
    right: frozenset
    verdict: str
    why: str
    values: object = None
    both: bool = False
    rest: int = 3

    def value(self, chance):
        """A parameter for `lab.sh break`; empty for its default."""
        if self.values is None:
            return ""
        return str(chance.randint(*self.values) if isinstance(self.values, tuple) else chance.choice(self.values))


# After a recovery the daemon gives a BGP session half a minute to come up, and measures the MTU some seconds later.
_BGP_REST = 35
_MTU_REST = 25


def _kind(name, right, verdict, why, values=None, **further):
    return Kind(name, frozenset(right.split()), verdict, why, values, **further)


KINDS = {kind.name: kind for kind in [
    _kind("link", "path_to_aws", "down", "AWS's outside address does not answer, the references do"),
    _kind("path", "path_to_aws", "down", "the same, with everything dropped at hop 2"),
    _kind("kill", "ike_down", "down", "the outside address answers echoes, and nobody answers IKE"),
    _kind("ike", "ike_rejected ike_down", "down", "AWS deletes the tunnel and refuses the next attempt; then there is no IKE SA"),
    _kind("psk", "ike_rejected", "down", "AWS answers with AUTHENTICATION_FAILED"),
    _kind("proposal", "ike_rejected", "down", "AWS answers with NO_PROPOSAL_CHOSEN, for IKE or for ESP", ["ike", "esp"]),
    _kind("dead", "ipsec_one_way", "down", "SAs installed, what is sent inside does not arrive", ["inside", "esp"]),
    _kind("icmp", UNKNOWN, "down", "only echo requests are dropped inside: no cause of the list is true, and AWS says UP"),
    _kind("bgp", "bgp_down", "aws", "probes pass, the session is not established", rest=_BGP_REST),
    _kind("prefix", "bgp_down", "named", "probes pass, the session is established, 10.0.0.0/16 is not announced", rest=_BGP_REST),
    _kind("vpc", "vpc_unreachable", "through", "AWS's inside address answers, the host in the VPC does not", rest=_BGP_REST),
    _kind("loss", "lossy_path", "degraded", "some of the packets are lost", (10, 25)),
    _kind("delay", "slow_path", "degraded", "the round trip is hundreds of times the usual", (100, 400)),
    _kind("mtu", "mtu", "named", "small packets pass, large ones do not", (700, 1250), rest=_MTU_REST),
    _kind("wan", "uplink_down", "down", "neither AWS's outside addresses nor the references answer", ["link", "silent"], both=True),
    _kind("charon", "gateway_host", "down", "nobody listens at the VICI socket; that the device is gone follows from it", ["kill", "stop"]),
    _kind("policy", "gateway_config", "down", "IKE is established, and no SA of this gateway takes the tunnel's traffic", ["none", "other"]),
    _kind("route", "gateway_config", "down", "this gateway has no route to AWS's outside address"),
    _kind("blocked", "gateway_config", "down", "this gateway's firewall refuses to send to AWS's outside address"),
    _kind("nat", "ike_down", "down",
          "AWS ignores the new address: nobody answers IKE although the outside address answers echoes. That a NAT did it cannot be seen from here", ["address"]),
    _kind("nat_port", UNKNOWN, "none", "AWS follows to the new port: a second of loss, which is over before a cause could be true"),
]}

# Names in a run that are a value of a kind in the lab.
LAB_KIND = {"nat_port": ("nat", "port")}


def chosen(words):
    """The kinds of a list of words; all of them if it is empty."""
    unknown = [word for word in words if word not in KINDS]
    if unknown:
        raise SystemExit(f"causes: no such kind: {' '.join(unknown)} (there are: {' '.join(KINDS)})")
    return [KINDS[word] for word in words] or list(KINDS.values())

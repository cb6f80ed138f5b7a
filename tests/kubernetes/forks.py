"""A program that loads from the cluster of the kubeconfig in argv[1], forks, and loads again.

It prints what the child has: fingerprint and hosts, at first and after the change that it is told
of on standard input; then what the parent has, and its threads.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from llm_mesh_kubernetes import KubernetesSource


def hosts(source: KubernetesSource) -> list[str]:
    return [resource.model.spec.host for resource in source.load().resources]


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> None:
    source = KubernetesSource(kubeconfig=sys.argv[1], backoff_s=(0.005, 0.05))
    hosts(source)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        say("parent", hosts(source), sorted(each.name for each in threading.enumerate()))
        sys.exit(os.waitstatus_to_exitcode(status))
    before = source.fingerprint()
    say("child", before, hosts(source))
    sys.stdin.readline()
    while source.fingerprint() == before:
        time.sleep(0.005)
    say("child", source.fingerprint(), hosts(source))
    source.close()
    os._exit(0)


main()

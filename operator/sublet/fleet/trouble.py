"""What is wrong with a cluster's answers, in words of our own for the lease's conditions. Pure.

Never the server's words: one that lies could have us write a status anew with each probe, or put in it what it likes.
"""

from sublet.kube.errors import BadAnswer, Forbidden, KubeError, TooManyRequests, Untrusted


def words_of(error: BaseException | None) -> str:
    """Return what a failed request means; empty where it is plain silence."""
    if isinstance(error, BadAnswer):
        return "what it answers isn't what a Kubernetes API server answers"
    if isinstance(error, Untrusted):
        return "its certificate isn't one that the kubeconfig's CA signed"
    if isinstance(error, Forbidden):
        return "the credential isn't allowed to"
    if isinstance(error, TooManyRequests):
        return "it says that it is too busy"
    return "it doesn't answer to the end" if isinstance(error, KubeError | TimeoutError) else ""

"""A check of our own: a request that the document allows is refused only for what the data hold."""

import schemathesis
from schemathesis import GenerationMode

# Whose values the data decide, or another parameter does.
OF_THE_DATA = {
    "baseline",
    "from",
    "goal",
    "metric",
    "part",
    "policy",
    "to",
    "traitGroup",
    "traitValue",
}


@schemathesis.check
def refused_for_the_data(ctx, response, case):
    generated = case.meta and case.meta.generation.mode
    if response.status_code == 400 and generated == GenerationMode.POSITIVE:
        problem = response.json()
        assert problem.get("parameter") in OF_THE_DATA, problem

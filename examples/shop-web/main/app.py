"""The shop's page."""

import os
import sys

import api
import bottle
import deployed
import features
import health

app = bottle.Bottle()


@app.get("/")
def page():
    try:
        about, products = api.get("/"), api.get("/products")["products"]
    except OSError as error:
        return bottle.HTTPError(502, f"The API at {api.URL} does not answer: {error}")
    return bottle.template(
        "page.tpl", shop=os.environ.get("SHOP_NAME", "Shop"), note=features.NOTE, actions=features.actions,
        products=products, api=about, url=api.URL, branch=deployed.BRANCH, commit=deployed.COMMIT,
    )  # fmt: skip


@app.get("/healthz")
def healthz():
    problem = health.problem()
    if problem:
        print(f"shop-web: not healthy: {problem}", file=sys.stderr, flush=True)
        bottle.response.status = 503
    return {"healthy": not problem}


print(f"shop-web: branch {deployed.BRANCH} at {deployed.COMMIT}, API at {api.URL}", flush=True)

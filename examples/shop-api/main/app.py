"""The shop's API."""

import json
import os
import sys
from pathlib import Path

import bottle
import deployed
import health
import prices

app = bottle.Bottle()
PRODUCTS = json.loads(Path(__file__).with_name("products.json").read_text())


@app.get("/")
def about():
    return {
        "app": "shop-api",
        "shop": os.environ.get("SHOP_NAME", ""),
        "branch": deployed.BRANCH,
        "commit": deployed.COMMIT,
    }


@app.get("/products")
def products():
    return {"products": [prices.shown(product) for product in PRODUCTS]}


@app.get("/products/<number:int>")
def product(number):
    found = next((prices.shown(product) for product in PRODUCTS if product["id"] == number), None)
    return found or bottle.HTTPError(404, "There is no such product.")


@app.get("/healthz")
def healthz():
    problem = health.problem()
    if problem:
        print(f"shop-api: not healthy: {problem}", file=sys.stderr, flush=True)
        bottle.response.status = 503
    return {"healthy": not problem}


print(f"shop-api: branch {deployed.BRANCH} at {deployed.COMMIT}, {len(PRODUCTS)} products", flush=True)

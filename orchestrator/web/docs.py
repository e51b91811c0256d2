"""`/openapi.json`, generated from the code, and `/docs`, which shows it; every asset comes from this server."""

from flask import Blueprint, Response, jsonify, redirect
from flask_openapi3.openapi import OpenAPI
from flask_openapi3_swagger.plugins import RegisterPlugin  # type: ignore[import-untyped]
from werkzeug.wrappers import Response as AnyResponse


def install(app: OpenAPI) -> None:
    """Both pages; they need no token and tell nothing about this installation."""
    # Relative to /docs/swagger, where the page is.
    app.register_blueprint(RegisterPlugin.register(doc_url="../openapi.json"), url_prefix="/docs")
    pages = Blueprint("docs", __name__)

    @pages.get("/openapi.json")
    def document() -> Response:
        return jsonify(app.api_doc)

    @pages.get("/docs", strict_slashes=False)
    def page() -> AnyResponse:
        return redirect("/docs/swagger")

    app.register_blueprint(pages)

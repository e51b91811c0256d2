"""The JSON routes under /api/v1, one module per noun; each route calls one command and renders what it gives."""

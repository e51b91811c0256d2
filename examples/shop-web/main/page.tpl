<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{shop}}</title>
<style>
body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto; padding: 0 1rem; }
li { display: flex; gap: 1rem; border-bottom: 1px solid #ddd; padding: .3rem 0; }
.price { margin-left: auto; font-variant-numeric: tabular-nums; }
footer { color: #666; font-size: .85rem; margin-top: 2rem; }
</style>
</head>
<body>
<h1>{{shop}}</h1>
<p>{{note}}</p>
<ul>
% for product in products:
<li>{{product["name"]}} <span class="price">{{"%.2f" % product["price"]}} (tax {{product["tax"]}})</span> {{!actions(product)}}</li>
% end
</ul>
<footer>
shop-web: branch <b>{{branch}}</b> at {{commit}}.
Products from <b>{{url}}</b>: branch <b>{{api["branch"]}}</b> at {{api["commit"]}}.
</footer>
</body>
</html>

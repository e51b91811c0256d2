import pickles

pickles.serve()

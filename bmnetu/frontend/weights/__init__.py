"""The weight files: caffemodel, fp32umodel and int8umodel."""

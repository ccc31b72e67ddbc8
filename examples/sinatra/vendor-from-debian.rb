# For whom gems come from Debian's packages and not from rubygems.org: does for those what `bundle cache` does.
#
#     apt-get install ruby bundler rake ruby-sinatra ruby-webrick
#     ruby vendor-from-debian.rb
#
# Packs each gem that the Gemfile here leads to, at the version Debian has, into vendor/cache, and writes Gemfile.lock
# for those. Bundler then installs them as it would any others, without a network.

require "bundler"
require "fileutils"
require "rubygems/package"
require "tmpdir"

# Yields what a Debian package has of a gem: each file, and its place in the gem; native parts are compiled already.
def files(spec, package)
  libraries = [spec.extension_dir, *RbConfig::CONFIG.values_at("vendorarchdir", "vendordir")]
  `dpkg-query --listfiles #{package}`.split("\n").each do |file|
    inside = file.delete_prefix("#{spec.full_gem_path}/") if file.start_with?("#{spec.full_gem_path}/")
    library = libraries.find { |directory| file.start_with?("#{directory}/") }
    inside ||= file.sub(library, "lib") if library
    yield file, inside if inside && File.file?(file)
  end
end

def pack(spec, package, target)
  Dir.mktmpdir do |directory|
    names = []
    files(spec, package) do |file, inside|
      FileUtils.mkdir_p(File.dirname(File.join(directory, inside)))
      FileUtils.cp(file, File.join(directory, inside))
      names << inside
    end
    packed = spec.dup
    packed.files = names.uniq
    packed.extensions = packed.extra_rdoc_files = packed.test_files = []
    packed.executables = packed.executables.select { |name| names.include?("#{packed.bindir}/#{name}") }
    Dir.chdir(directory) { FileUtils.mv(Gem::Package.build(packed, true), target) }
  end
end

wanted = Bundler::Dsl.evaluate(Pathname("Gemfile"), Pathname("absent.lock"), {}).dependencies
found = {}
until wanted.empty?
  dependency = wanted.shift
  next if found.key?(dependency.name) || dependency.name == "bundler"
  found[dependency.name] = spec = Gem::Specification.find_by_name(dependency.name, dependency.requirement)
  wanted.concat(spec.runtime_dependencies)
end
FileUtils.rm_rf("vendor/cache")
FileUtils.mkdir_p("vendor/cache")
owners = IO.popen(["dpkg-query", "--search", *found.values.map(&:loaded_from)], &:readlines)
packages = owners.to_h { |line| line.strip.split(": ", 2).reverse }
Gem::DefaultUserInteraction.use_ui(Gem::SilentUI.new) do
  found.each_value { |spec| pack(spec, packages.fetch(spec.loaded_from), File.expand_path("vendor/cache")) }
end
FileUtils.rm_f("Gemfile.lock")
exit system("bundle", "lock", "--local", "--add-platform", "ruby")
